import DeviceRPC
import Testing

extension RPCServer.Configuration {
  /// Any port. Other tests may keep all of Swift's threads for a while: nothing is too slow.
  static var forTests: Self {
    var configuration = Self(port: 0)
    configuration.handshakeTimeout = .seconds(300)
    configuration.timeout = nil
    configuration.stallTimeout = nil
    return configuration
  }
}

extension RPCPeer.Configuration {
  /// Without timeouts, for the same reason.
  static var forTests: Self {
    var configuration = Self()
    configuration.timeout = nil
    configuration.stallTimeout = nil
    return configuration
  }
}

/// A server with these functions, for the time of the test, and a peer that is connected to it.
func withPeers(
  _ configuration: RPCServer.Configuration = .forTests,
  client clientConfiguration: RPCPeer.Configuration = .forTests,
  serving register: (inout RPCNamespace) -> Void,
  and registerOfClient: (inout RPCNamespace) -> Void = { _ in },
  whenConnected visitor: (@Sendable (RPCPeer) async throws -> Void)? = nil,
  _ body: (RPCPeer, RPCServer) async throws -> Void
) async throws {
  var namespace = RPCNamespace()
  register(&namespace)
  var namespaceOfClient = RPCNamespace()
  registerOfClient(&namespaceOfClient)
  let server = RPCServer(namespace, configuration: configuration, whenConnected: visitor)
  let port = try await server.start()
  let outcome: Result<Void, any Error>
  do {
    let peer = try await RPCPeer.connect(
      host: "127.0.0.1", port: port, serving: namespaceOfClient,
      configuration: clientConfiguration)
    outcome = .success(try await body(peer, server))
    peer.close()
  } catch {
    outcome = .failure(error)
  }
  await server.shutDown()
  try outcome.get()
}

extension RPCServer {
  /// The other end of the only connection.
  func accepted(_ peer: RPCPeer) async throws -> RPCPeer {
    // It is answered, so that it was accepted.
    _ = try await peer.eval("nothing")
    return try #require(peers.first)
  }
}
