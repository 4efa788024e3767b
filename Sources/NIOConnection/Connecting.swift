import NIOCore
import NIOPosix

/// What the certificate of a host must name; nil for an address, which is no name.
package func certificateName(_ host: String) -> String? {
  (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
}

/// Why no connection was made, in one line.
package func connectionFailure(_ error: any Error) -> String {
  guard let error = error as? NIOConnectionError else { return "\(error)" }
  let lookUp = [error.dnsAError, error.dnsAAAAError].compactMap { $0.map { "\($0)" } }
  let attempts = error.connectionErrors.map { "\($0.error)" }
  return (attempts.isEmpty ? lookUp : attempts).joined(separator: "; ")
}
