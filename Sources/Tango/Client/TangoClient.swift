import NIOConnection
public import NIOCore
import NIOPosix
public import NIOSSL
public import RPC
import Synchronization
import Tracing

/// Connections to tango servers.
public enum Tango {
  /// Connects to a tango server: the original's, Milonga's in Lua, or a ``TangoServer``.
  ///
  /// ```swift
  /// let con = try await Tango.connect(host: "localhost", port: 12345)
  /// let root: Double = try await con.math.sqrt(4)
  /// ```
  ///
  /// - Throws: ``TangoError/connectFailed(peer:reason:)``.
  public static func connect(
    host: String = "localhost", port: Int = 12345,
    configuration: TangoClient.Configuration = .init()
  ) async throws -> TangoClient {
    let client = TangoClient(host: host, port: port, configuration: configuration)
    _ = try await client.connection()
    return client
  }
}

/// A tango server as this program sees it: its functions and variables are the members.
///
/// ```swift
/// try await con.greet("Hello", "Horst")
/// var friends: [String] = try await con.friends()       // reads a variable
/// try await con.friends(friends + ["Horst"])             // writes it
/// let (sum, count): (Int, Int) = try await con.stats.totals()
/// ```
///
/// Any number of tasks may call at once: their calls share the connections and wait for each other nowhere.
/// Cancelling a task ends its call with `CancellationError`; the function runs to its end on the server. When
/// the client goes, its connections are closed.
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
    /// Connections that the calls share, made as they are needed; the one with the fewest calls in flight takes
    /// the next.
    public var connections = 1
    /// When a connection was lost, the next call makes a new one; attempts that fail are repeated after
    /// pauses that double, from 50 ms up to 5 s, for as long as the call's timeout allows. No call is sent
    /// twice.
    public var reconnects = false
    /// Runs the connections; NIO's own threads unless told otherwise.
    public var eventLoopGroup: (any EventLoopGroup)?

    /// The defaults.
    public init() {}
  }

  public let host: String
  public let port: Int
  let configuration: Configuration
  /// The thread of the first connection. Tasks that do little else than call are fastest there, because nothing
  /// goes from one thread to another:
  ///
  /// ```swift
  /// group.addTask(executorPreference: client.taskExecutor) { try await client.echo(text) }
  /// ```
  public let taskExecutor: any TaskExecutor
  private let slots: [Slot]
  /// nil when the program has installed none.
  let tracer = InstrumentationSystem.installedTracer
  private let isShutDown = Atomic(false)
  /// Where the search for a connection begins.
  private let turn = Atomic(0)

  /// A connection, or the attempt to make one.
  private final class Slot: Sendable {
    enum State {
      case empty
      case connecting(Task<TangoConnection, any Error>)
      case connected(TangoConnection)
    }
    let state = Mutex(State.empty)
    let eventLoop: any EventLoop

    init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    var open: TangoConnection? {
      state.withLock {
        if case .connected(let connection) = $0, connection.isOpen { connection } else { nil }
      }
    }

    /// How busy it is: a new connection is better than a busy one, an idle one better than a new one.
    var load: Double {
      state.withLock {
        switch $0 {
        case .connected(let connection) where connection.isOpen: Double(connection.callsInFlight)
        case .connecting: 1
        case .connected, .empty: 0.5
        }
      }
    }
  }

  /// A client that connects when it is first used.
  public init(
    host: String = "localhost", port: Int = 12345, configuration: Configuration = .init()
  ) {
    self.host = host
    self.port = port
    self.configuration = configuration
    let group = configuration.eventLoopGroup ?? MultiThreadedEventLoopGroup.singleton
    slots = (0..<max(1, configuration.connections)).map { _ in Slot(group.next()) }
    taskExecutor = EventLoopExecutor(slots[0].eventLoop)
  }

  deinit {
    for slot in slots {
      switch slot.state.withLock({ $0 }) {
      case .empty: continue
      case .connecting(let task): task.cancel()
      case .connected(let connection): connection.end(.shutDown)
      }
    }
  }

  var peer: String { peerName(host, port) }

  /// A function, a variable or a table of the server. A name that the client itself has, such as `close`, is
  /// reached by ``subscript(path:)``.
  public subscript(dynamicMember name: String) -> TangoPath { TangoPath(client: self, path: name) }

  /// The same for a whole path, such as `"math.sqrt"`.
  public subscript(path path: String) -> TangoPath { TangoPath(client: self, path: path) }

  /// The server's functions, called with another timeout; nil for none.
  public subscript(timeout timeout: Duration?) -> TangoPath.Root {
    TangoPath.Root(client: self, timeout: timeout)
  }

  /// Closes the connections; calls that await their answers, and all later ones, fail.
  public func close() {
    isShutDown.store(true, ordering: .relaxed)
    for slot in slots {
      if case .connected(let connection) = slot.state.withLock({ $0 }) {
        connection.end(.shutDown)
      }
    }
  }

  // MARK: Connections

  /// An open connection, the one with the fewest calls in flight; made if need be.
  func connection() async throws -> TangoConnection {
    let slot = leastBusySlot
    if let open = slot.open { return open }
    if isShutDown.load(ordering: .relaxed) { throw TangoError.shutDown }
    let task: Task<TangoConnection, any Error> = try slot.state.withLock { state in
      switch state {
      case .connecting(let task): return task
      case .connected(let connection):
        if connection.isOpen { return Task { connection } }
        guard configuration.reconnects else {
          throw TangoError.connectionClosed(peer: peer)
        }
      case .empty: break
      }
      let attempt = Attempt(
        host: host, port: port, configuration: configuration, eventLoop: slot.eventLoop)
      let task = Task { try await attempt.connect() }
      state = .connecting(task)
      return task
    }
    do {
      let connection = try await task.value
      slot.state.withLock { state in
        if case .connecting = state { state = .connected(connection) }
      }
      return connection
    } catch {
      slot.state.withLock { state in
        if case .connecting(let current) = state, current == task { state = .empty }
      }
      throw error
    }
  }

  /// Of several that are, each in its turn.
  private var leastBusySlot: Slot {
    if slots.count == 1 { return slots[0] }
    let first = turn.wrappingAdd(1, ordering: .relaxed).newValue % slots.count
    return (slots[first...] + slots[..<first]).min { $0.load < $1.load }!
  }

  /// An open connection, if there is one: what nearly every call finds.
  var openConnection: TangoConnection? { slots.count == 1 ? slots[0].open : nil }
}
