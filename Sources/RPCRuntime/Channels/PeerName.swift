package import NIOCore

/// A host and its port as they are written in messages: `device.local:1999`, `[::1]:1999`.
package func peerName(_ host: String, _ port: Int) -> String {
  host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
}

extension Channel {
  /// The other end, as it is written in messages.
  package var peerName: String {
    guard let address = remoteAddress else { return "unknown peer" }
    guard let host = address.ipAddress, let port = address.port else { return "\(address)" }
    return RPCRuntime.peerName(host, port)
  }
}
