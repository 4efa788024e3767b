public import MilongaRPC
public import NIOCore
import NIOPosix
public import NIOSSL
import RPCRuntime
import Synchronization
import Tracing

/// A tango server as this program sees it: its functions and variables are the members.
///
/// ```swift
/// try await con.greet("Hello", "Horst")
/// var friends: [String] = try await con.friends()       // reads a variable
/// try await con.friends(friends + ["Horst"])             // writes it
/// let (sum, count): (Int, Int) = try await con.stats.totals()
/// ```
///
/// Any number of tasks may call at once: their calls share the connections, and do not wait for
/// each other. Cancelling a task ends its call with `CancellationError`; the function runs to its
/// end on the server. When the client goes, its connections are closed.
@dynamicMemberLookup
public final class TangoClient: Sendable {
  /// How a client connects and calls.
  public struct Configuration: Sendable {
    /// How long connecting, and each call, may take; nil for no limit.
    public var timeout: Duration? = .seconds(30)
    /// TLS; nil for none. `sslHostname` is what the certificate must name.
    public var tls: TLSConfiguration?
    /// The name that the server's certificate must have, unless it is the host.
    public var sslHostname: String?
    /// What answers may cost, and how many calls may await theirs on one connection.
    public var limits = RPCLimits()
    /// Connections that the calls share, made as they are needed; the one with the fewest calls in
    /// flight takes the next.
    public var connections = 1
    /// When a connection was lost, the next call makes a new one; attempts that fail are repeated
    /// after pauses that double, from 50 ms up to 5 s, for as long as the call's timeout allows. No
    /// call is sent twice.
    public var reconnects = false
    /// Runs the connections; NIO's own threads unless told otherwise.
    public var eventLoopGroup: (any EventLoopGroup)?

    /// The defaults.
    public init() {}
  }

  public let host: String
  public let port: Int
  let configuration: Configuration
  /// The thread of the first connection. Tasks that do little else than call are fastest there,
  /// because nothing goes from one thread to another:
  ///
  /// ```swift
  /// group.addTask(executorPreference: client.taskExecutor) { try await client.echo(text) }
  /// ```
  public let taskExecutor: any TaskExecutor
  private let slots: [ConnectionSlot]
  /// nil when the program has installed none.
  let tracer = InstrumentationSystem.installedTracer
  /// Where the search for a connection begins.
  private let turn = Atomic(0)

  /// A client that connects when it is first used.
  public init(
    host: String = "localhost", port: Int = 12345, configuration: Configuration = .init()
  ) {
    self.host = host
    self.port = port
    self.configuration = configuration
    let group = configuration.eventLoopGroup ?? MultiThreadedEventLoopGroup.singleton
    slots = (0..<max(1, configuration.connections)).map { _ in
      ConnectionSlot(
        Attempt(host: host, port: port, configuration: configuration, eventLoop: group.next()))
    }
    taskExecutor = EventLoopExecutor(slots[0].eventLoop)
  }

  deinit { close() }

  /// A function, a variable or a table of the server. A name that the client itself has, such as
  /// `close`, is reached by ``subscript(path:)``.
  public subscript(dynamicMember name: String) -> TangoPath { TangoPath(client: self, path: name) }

  /// The same for a whole path, such as `"math.sqrt"`.
  public subscript(path path: String) -> TangoPath { TangoPath(client: self, path: path) }

  /// The server's functions, called with another timeout; nil for none.
  public subscript(timeout timeout: Duration?) -> TangoPath.Root {
    TangoPath.Root(client: self, timeout: timeout)
  }

  /// Closes the connections; calls that await their answers, and all later ones, fail.
  public func close() {
    for slot in slots { slot.close() }
  }

  // MARK: Connections

  /// An open connection, the one with the fewest calls in flight; made if need be.
  ///
  /// - Parameter timeout: how long to wait for it; nil for as long as an attempt takes.
  func connection(within timeout: Duration? = nil) async throws -> TangoConnection {
    do {
      return try await leastBusySlot.connection(until: timeout.map { .now() + TimeAmount($0) })
    } catch is DeadlinePassed {
      throw TangoError.connectFailed(
        peer: peerName(host, port), reason: "no connection within \(timeout! / .seconds(1)) s")
    }
  }

  /// When several are least busy, each in its turn.
  private var leastBusySlot: ConnectionSlot {
    if slots.count == 1 { return slots[0] }
    let first = turn.wrappingAdd(1, ordering: .relaxed).newValue % slots.count
    return (slots[first...] + slots[..<first]).min { $0.load < $1.load }!
  }

  /// An open connection, if there is one: what nearly every call finds.
  var openConnection: TangoConnection? { slots.count == 1 ? slots[0].open : nil }
}
