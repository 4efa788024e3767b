import Glibc
import MilongaIO
import Testing

@Suite struct SocketAddressTests {
  @Test(arguments: [
    ("127.0.0.1", 80, "127.0.0.1:80"), ("0.0.0.0", 0, "0.0.0.0:0"),
    ("255.255.255.255", 65_535, "255.255.255.255:65535"),
  ])
  func `IPv4 digits`(_ host: String, _ port: UInt16, _ description: String) throws {
    let address = try #require(SocketAddress(numeric: host, port: port))
    #expect(address.family == AF_INET)
    #expect(address.port == port)
    #expect(address.numericHost == host)
    #expect(address.description == description)
  }

  @Test(arguments: [
    ("::1", "::1", 80, "[::1]:80"), ("::", "::", 1, "[::]:1"),
    ("2001:DB8:0:0:0:0:0:1", "2001:db8::1", 65_535, "[2001:db8::1]:65535"),
    ("::ffff:1.2.3.4", "::ffff:1.2.3.4", 9, "[::ffff:1.2.3.4]:9"),
  ])
  func `IPv6 digits`(
    _ host: String, _ canonical: String, _ port: UInt16, _ description: String
  ) throws {
    let address = try #require(SocketAddress(numeric: host, port: port))
    #expect(address.family == AF_INET6)
    #expect(address.port == port)
    #expect(address.numericHost == canonical)
    #expect(address.description == description)
  }

  @Test(arguments: [
    "", "localhost", "1.2.3", "1.2.3.4.5", "256.0.0.1", " 127.0.0.1", "127.0.0.1 ", "[::1]", ":::",
    "::1%lo", "127.0.0.1\0.example.org", "::1\0", "0x7f000001",
  ])
  func `what is not digits is no numeric address`(_ host: String) {
    #expect(SocketAddress(numeric: host, port: 1) == nil)
  }

  @Test func `IPv6 addresses with scopes, and IPv4 addresses by their number`() throws {
    #expect(SocketAddress(v6: "fe80::1%lo", port: 80)?.description == "[fe80::1%lo]:80")
    #expect(SocketAddress(v6: "fe80::1%1", port: 80)?.description == "[fe80::1%lo]:80")
    #expect(SocketAddress(v6: "::1", port: 80)?.description == "[::1]:80")
    for text in ["127.0.0.1", "127.0.0.1%lo", "::1%", "::1%nosuch", "%lo", "", "::1%lo\0"] {
      #expect(SocketAddress(v6: text, port: 80) == nil, "\(text)")
    }
    #expect(SocketAddress(v4: 0x7f00_0001, port: 80).description == "127.0.0.1:80")
  }

  @Test func `other families have neither host nor port`() {
    var other = sockaddr()
    other.sa_family = sa_family_t(AF_NETLINK)
    let address = SocketAddress(&other, length: socklen_t(MemoryLayout<sockaddr>.size))
    #expect(address.family == AF_NETLINK)
    #expect(address.port == nil)
    #expect(address.description == "address family \(AF_NETLINK)")
  }

  @Test(arguments: [
    ("/run/server", "unix:/run/server"), ("\0hidden\0name", "unix:@hidden\0name"), ("", "unix:"),
    (String(repeating: "x", count: 107), "unix:" + String(repeating: "x", count: 107)),
  ])
  func `Unix addresses`(_ path: String, _ description: String) throws {
    let address = try #require(Array(path.utf8).withUnsafeBytes { SocketAddress(unixPath: $0) })
    #expect(address.family == AF_UNIX)
    #expect(address.port == nil)
    #expect(address.withUnixPath { Array($0) } == Array(path.utf8))
    #expect(address.description == description)
  }

  @Test func `a Unix path has at most 107 bytes`() {
    let path = [UInt8](repeating: 1, count: 108)
    #expect(path.withUnsafeBytes { SocketAddress(unixPath: $0) } == nil)
  }

  @Test func `the system gives back a Unix path without the NUL that ends it`() throws {
    let path = "/tmp/milonga-\(getpid())-address"
    let socket = try Socket.open(family: AF_UNIX, stream: true)
    defer {
      socket.close()
      unlink(path)
    }
    #expect(try socket.localAddress().withUnixPath { $0.isEmpty })
    try socket.bind(Array(path.utf8).withUnsafeBytes { SocketAddress(unixPath: $0)! })
    #expect(try socket.localAddress().withUnixPath { Array($0) } == Array(path.utf8))
  }

  @Test func `a length beyond any address is cut`() throws {
    // A buffer of the length that is claimed, of which only the start can be an address.
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
    defer { bytes.deallocate() }
    bytes.initializeMemory(as: UInt8.self, repeating: 1)
    bytes.storeBytes(of: sockaddr_in().sin_family + sa_family_t(AF_INET), as: sa_family_t.self)
    let address = SocketAddress(
      bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), length: 4096)
    #expect(address.family == AF_INET)
    #expect(address.port == 0x0101)
    #expect(address.numericHost == "1.1.1.1")
  }

  @Test func `the address of an unbound socket is the wildcard`() throws {
    let socket = try Socket.open(family: AF_INET, stream: true)
    defer { socket.close() }
    #expect(try socket.localAddress().description == "0.0.0.0:0")
  }
}
