import Glibc
import SystemPackage

/// The address of a socket: IPv4, IPv6, Unix, or any other family, as the kernel has it.
public struct SocketAddress: Sendable {
  var storage = sockaddr_storage()
  var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

  /// An address to be filled in by the kernel.
  init() {}

  /// Copies an address out of an `addrinfo`.
  public init(_ address: UnsafePointer<sockaddr>, length: socklen_t) {
    self.length = min(length, socklen_t(MemoryLayout<sockaddr_storage>.size))
    withUnsafeMutableBytes(of: &storage) {
      $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(self.length)))
    }
  }

  /// An address written in digits, e.g. `127.0.0.1` or `::1`; nil for names.
  public init?(numeric host: String, port: UInt16) {
    // C would see only what is before a NUL.
    guard !host.utf8.contains(0) else { return nil }
    var v4 = sockaddr_in()
    if inet_pton(AF_INET, host, &v4.sin_addr) == 1 {
      v4.sin_family = sa_family_t(AF_INET)
      v4.sin_port = port.bigEndian
      self = withUnsafeBytes(of: &v4) { SocketAddress(bytes: $0) }
      return
    }
    var v6 = sockaddr_in6()
    if inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 {
      v6.sin6_family = sa_family_t(AF_INET6)
      v6.sin6_port = port.bigEndian
      self = withUnsafeBytes(of: &v6) { SocketAddress(bytes: $0) }
      return
    }
    return nil
  }

  private init(bytes: UnsafeRawBufferPointer) {
    length = socklen_t(bytes.count)
    withUnsafeMutableBytes(of: &storage) { $0.copyMemory(from: bytes) }
  }

  /// `AF_INET`, `AF_INET6`, ...
  public var family: Int32 { Int32(storage.ss_family) }

  /// The port of an IPv4 or IPv6 address, nil for other families.
  public var port: UInt16? {
    withUnsafeBytes(of: storage) { bytes in
      switch family {
      case AF_INET: UInt16(bigEndian: bytes.load(as: sockaddr_in.self).sin_port)
      case AF_INET6: UInt16(bigEndian: bytes.load(as: sockaddr_in6.self).sin6_port)
      default: nil
      }
    }
  }

  /// The host in digits, with the scope of a link-local IPv6 address (`fe80::1%eth0`).
  public var numericHost: String {
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let status = withSockaddr {
      getnameinfo($0, $1, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST)
    }
    return status == 0 ? String(nulTerminated: host) : ""
  }

  func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    withUnsafeBytes(of: storage) {
      body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), length)
    }
  }

  mutating func withMutableSockaddr<Result>(
    _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Result
  ) -> Result {
    withUnsafeMutableBytes(of: &storage) {
      body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
    }
  }
}

extension SocketAddress: CustomStringConvertible {
  /// `127.0.0.1:80`, `[::1]:80`.
  public var description: String {
    guard let port else { return "address family \(family)" }
    return family == AF_INET6 ? "[\(numericHost)]:\(port)" : "\(numericHost):\(port)"
  }
}

extension String {
  /// The text before the first NUL of a C buffer.
  init(nulTerminated buffer: [CChar]) {
    self = String(
      decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
