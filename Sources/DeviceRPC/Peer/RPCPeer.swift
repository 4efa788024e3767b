public import NIOCore
public import NIOSSL
public import RPCRuntime

/// The other side of a connection: its functions are the members. It may call this side at the same
/// time.
///
/// ```swift
/// let peer = try await RPCPeer.connect(host: "device.local", port: 1999, serving: api)
/// let root: Double = try await peer.math.sqrt(4)
/// let version: String = try await peer.eval("_VERSION")
/// let double = try await peer.newexec("return 2 * ...")
/// let number: Int = try await double(21)
/// ```
///
/// Any number of tasks may call at once. The protocol has 256 sequence numbers: when so many calls
/// await their answers, the next ones wait until a number is free. Cancelling a task ends its call
/// with `CancellationError`; the function runs to its end on the other side, and only its answer
/// frees the number.
///
/// The connection ends with ``close()``, or when the program releases the peer. A server keeps the
/// peers that are connected to it.
@dynamicMemberLookup
public final class RPCPeer: Sendable {
  let connection: PeerConnection

  init(_ connection: PeerConnection) { self.connection = connection }

  deinit { connection.endSoon() }

  /// The peer that has called the function which runs now; nil elsewhere.
  @TaskLocal public static var current: RPCPeer?

  /// Where the other side is.
  public var address: SocketAddress? { connection.channel?.remoteAddress }

  /// Its certificate, verified as the TLS configuration says; nil without one.
  public var certificate: NIOSSLCertificate? { connection.certificate }

  /// Whether calls can be made.
  public var isOpen: Bool { connection.isOpen }

  // MARK: Calling

  /// A function of the other side, or a table of functions. A name that the peer itself has, such
  /// as `close`, is reached by ``subscript(path:)``.
  public subscript(dynamicMember name: String) -> RPCPath { self[path: name] }

  /// The same for a whole path, such as `"math.sqrt"` or `"sensors.3.read"`.
  public subscript(path path: String) -> RPCPath {
    RPCPath(callee: RPCCallee(peer: self, target: .path(path)))
  }

  /// The other side's functions, called with another timeout; nil for none.
  public subscript(timeout timeout: Duration?) -> RPCPath.Root {
    RPCPath.Root(peer: self, timeout: timeout)
  }

  /// The value of a variable of the other side, as it came; nil when there is none.
  public func eval(_ path: String) async throws -> RPCValue {
    try await RPCPath(callee: RPCCallee(peer: self, target: .evaluation(path)))()
  }

  /// The value of a variable of the other side as the type asked for.
  @_disfavoredOverload
  public func eval<Result: Decodable & Sendable>(_ path: String) async throws -> Result {
    try await RPCPath(callee: RPCCallee(peer: self, target: .evaluation(path)))()
  }

  /// Sends a Lua script, which the other side compiles and keeps as long as the connection lasts.
  ///
  /// - Returns: what runs the script there; its arguments are `...`.
  /// - Throws: ``RPCRemoteError`` when it cannot be compiled, or scripts are not accepted there.
  public func newexec(_ script: String) async throws -> RPCScript {
    let number: Int = try await RPCPath(
      callee: RPCCallee(peer: self, target: .scriptSource))(script)
    return RPCScript(callee: RPCCallee(peer: self, target: .script(number)))
  }

  /// The same for a script in pieces: no piece may have more than 65,534 bytes, but all of them
  /// together may.
  public func newexec(_ pieces: [String]) async throws -> RPCScript {
    let number: Int = try await RPCPath(
      callee: RPCCallee(peer: self, target: .scriptSource))(pieces)
    return RPCScript(callee: RPCCallee(peer: self, target: .script(number)))
  }

  // MARK: The end

  /// Closes the connection. Calls that await their answers fail, functions that serve the other
  /// side are cancelled.
  public func close() { connection.end(.shutDown) }

  /// Takes no more calls, waits until those that are being served have been answered, and closes
  /// the connection.
  public func shutDown() async {
    connection.requestShutDown()
    await waitUntilClosed()
  }

  /// Returns when the connection has ended, on whichever side.
  public func waitUntilClosed() async { try? await connection.channel?.closeFuture.get() }
}

extension RPCPeer: CustomStringConvertible {
  /// Its address, for logs.
  public var description: String { connection.name }
}
