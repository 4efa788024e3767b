import MilongaRPC
import NIOConcurrencyHelpers
import NIOCore
import RPCRuntime
public import ServiceLifecycle

/// Serves Swift functions to tango clients: the original's, Milonga's in Lua, ``TangoClient``.
///
/// ```swift
/// var api = TangoNamespace()
/// api.register("add") { (a: Int, b: Int) in a + b }
/// try await TangoServer(api, configuration: .init(port: 12345)).run()
/// ```
///
/// As a `Service` it takes part in a `ServiceGroup`: when that shuts down, the server takes no more
/// calls, finishes those that run, and closes its connections.
public final class TangoServer: Service {
  /// What peers can call.
  public let namespace: TangoNamespace
  /// How it listens, and what peers may do.
  public let configuration: Configuration
  let observer = CallObserver("tango")
  /// What a connection needs before its first call.
  let openingRules: OpeningRules
  private let listener: Listener<TangoServerHandler>
  /// Count what peers hold.
  let keepers: EventLoopKeepers
  private let scratches = NIOLockedValueBox<[ObjectIdentifier: EventLoopScratch]>([:])

  public convenience init(_ namespace: TangoNamespace, configuration: Configuration = .init()) {
    self.init(namespace, configuration: configuration, account: .process)
  }

  /// - Parameter account: counts what peers hold; tests have one of their own.
  init(_ namespace: TangoNamespace, configuration: Configuration, account: BufferAccount) {
    self.namespace = namespace
    self.configuration = configuration
    openingRules = OpeningRules(
      hasTLS: configuration.tls != nil, timeout: configuration.handshakeTimeout,
      authorize: configuration.authorize)
    keepers = EventLoopKeepers(configuration.limits, account: account)
    listener = Listener(configuration, "tango")
  }

  /// Listens, and returns when it has been shut down: by its `ServiceGroup`, by ``shutDown()`` or
  /// by the cancellation of its task.
  public func run() async throws {
    try await listener.run { TangoServerHandler(self, $0.eventLoop) }
  }

  /// Listens.
  ///
  /// - Returns: the port, which is of interest when the configuration said 0.
  /// - Throws: the error of the system, such as "address in use"; ``TangoError/shutDown`` after
  ///   ``shutDown()``.
  public func start() async throws -> Int {
    guard let port = try await listener.start({ TangoServerHandler(self, $0.eventLoop) }) else {
      throw TangoError.shutDown
    }
    return port
  }

  /// Takes no more connections and calls, waits until the calls that run have been answered, at
  /// most ``Configuration/shutdownGrace``, and closes all connections.
  public func shutDown() async { await listener.shutDown() }

  /// What the connections of an event loop share.
  func scratch(of eventLoop: any EventLoop) -> EventLoopScratch {
    scratches.withLockedValue { scratches in
      let key = ObjectIdentifier(eventLoop)
      if let known = scratches[key] { return known }
      let new = EventLoopScratch()
      scratches[key] = new
      return new
    }
  }
}
