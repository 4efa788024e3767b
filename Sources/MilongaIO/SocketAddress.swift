import Glibc
import SystemPackage

/// The address of a socket: IPv4, IPv6, Unix, or any other family, as the kernel has it.
package struct SocketAddress: Sendable {
  var storage = sockaddr_storage()
  var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

  /// No address.
  package static let none = SocketAddress()

  /// An address to be filled in by the kernel.
  init() {}

  /// Copies an address out of an `addrinfo`.
  package init(_ address: UnsafePointer<sockaddr>, length: socklen_t) {
    self.length = min(length, socklen_t(MemoryLayout<sockaddr_storage>.size))
    withUnsafeMutableBytes(of: &storage) {
      $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(self.length)))
    }
  }

  /// An IPv4 address by its number: 127.0.0.1 is 0x7f000001.
  package init(v4 host: UInt32, port: UInt16) {
    var v4 = sockaddr_in()
    v4.sin_family = sa_family_t(AF_INET)
    v4.sin_addr.s_addr = host.bigEndian
    v4.sin_port = port.bigEndian
    self = withUnsafeBytes(of: &v4) { SocketAddress(bytes: $0) }
  }

  /// An IPv6 address written in digits, with or without a scope: `::1`, `fe80::1%eth0`,
  /// `fe80::1%2`; nil for anything else.
  package init?(v6 text: String, port: UInt16) {
    let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
    self.init(numeric: String(parts[0]), port: port)
    // C would see only what is before a NUL.
    guard family == AF_INET6, !text.utf8.contains(0) else { return nil }
    guard parts.count == 2 else { return }
    let scope = UInt32(parts[1]) ?? if_nametoindex(String(parts[1]))
    guard scope != 0 else { return nil }
    withUnsafeMutableBytes(of: &storage) {
      $0.storeBytes(
        of: scope, toByteOffset: MemoryLayout<sockaddr_in6>.offset(of: \.sin6_scope_id)!,
        as: UInt32.self)
    }
  }

  /// An address written in digits, e.g. `127.0.0.1` or `::1`; nil for names.
  package init?(numeric host: String, port: UInt16) {
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

  /// The address of a Unix socket: a path, or, on Linux, a name that begins with a NUL byte and
  /// lives outside the file system. nil when it is longer than the system takes (107 bytes).
  package init?(unixPath path: UnsafeRawBufferPointer) {
    var unix = sockaddr_un()
    guard path.count < MemoryLayout.size(ofValue: unix.sun_path) else { return nil }
    unix.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &unix.sun_path) { $0.copyMemory(from: path) }
    self = withUnsafeBytes(of: &unix) {
      SocketAddress(
        bytes: UnsafeRawBufferPointer(rebasing: $0[..<(Self.unixPathOffset + path.count)]))
    }
  }

  private static let unixPathOffset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)!

  private init(bytes: UnsafeRawBufferPointer) {
    length = socklen_t(bytes.count)
    withUnsafeMutableBytes(of: &storage) { $0.copyMemory(from: bytes) }
  }

  /// `AF_INET`, `AF_INET6`, ...
  package var family: Int32 { Int32(storage.ss_family) }

  /// The port of an IPv4 or IPv6 address, nil for other families.
  package var port: UInt16? {
    withUnsafeBytes(of: storage) { bytes in
      switch family {
      case AF_INET: UInt16(bigEndian: bytes.load(as: sockaddr_in.self).sin_port)
      case AF_INET6: UInt16(bigEndian: bytes.load(as: sockaddr_in6.self).sin6_port)
      default: nil
      }
    }
  }

  /// The host in digits, with the scope of a link-local IPv6 address (`fe80::1%eth0`).
  package var numericHost: String { name(NI_NUMERICHOST | NI_NUMERICSERV).host }

  /// The host's name, or its digits when it has none. Blocks the calling thread as long as the name
  /// server takes.
  package var hostName: String { name(NI_NUMERICSERV).host }

  /// The name of the port's TCP service, or its digits when it has none.
  package var serviceName: String { name(NI_NUMERICHOST).service }

  private func name(_ flags: Int32) -> (host: String, service: String) {
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    var service = [CChar](repeating: 0, count: Int(NI_MAXSERV))
    let status = withSockaddr {
      getnameinfo(
        $0, $1, &host, socklen_t(host.count), &service, socklen_t(service.count), flags)
    }
    guard status == 0 else { return ("", "") }
    return (String(nulTerminated: host), String(nulTerminated: service))
  }

  /// Gives access to the path of a Unix socket's address: empty when it has none; a name outside
  /// the file system begins with NUL.
  package func withUnixPath<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    withUnsafeBytes(of: storage) { bytes in
      let end = family == AF_UNIX ? min(Int(length), bytes.count) : 0
      guard end > Self.unixPathOffset else {
        return body(UnsafeRawBufferPointer(rebasing: bytes[..<0]))
      }
      let path = UnsafeRawBufferPointer(rebasing: bytes[Self.unixPathOffset..<end])
      // The system counts the NUL that ends a path in the file system.
      let count = path[0] == 0 ? path.count : path.firstIndex(ofByte: 0) ?? path.count
      return body(UnsafeRawBufferPointer(rebasing: path[..<count]))
    }
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
  /// `127.0.0.1:80`, `[::1]:80`, `unix:/run/server`; `@` stands for a name outside the file system.
  package var description: String {
    if family == AF_UNIX {
      return withUnixPath { path in
        let name = path.first == 0 ? "@" : ""
        return "unix:" + name + String(decoding: path.drop { $0 == 0 }, as: UTF8.self)
      }
    }
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
