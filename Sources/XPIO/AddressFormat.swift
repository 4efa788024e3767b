import Glibc
import MilongaIO
import MilongaLua

/// XPIO's address format, `192.168.1.1:80`, with its variations: one to four numbers, which
/// inet_aton(3) would read in the same way, an empty address, no port. Ours are `[::1]:80` and
/// `unix:/path`; with `unix:@name` the name lives outside the file system.
enum AddressFormat {
  /// nil for what is no address.
  static func parse(_ text: UnsafeRawBufferPointer) -> SocketAddress? {
    if text.starts(with: "unix:".utf8) { return unix(text.dropFirst(5)) }
    if text.first == UInt8(ascii: "[") { return v6(text.dropFirst()) }
    let end = text.firstIndex(of: UInt8(ascii: ":")) ?? text.count
    guard let host = v4(text[..<end]), let port = port(text[end...]) else { return nil }
    return SocketAddress(v4: host, port: port)
  }

  private static func unix(_ path: Slice<UnsafeRawBufferPointer>) -> SocketAddress? {
    guard !path.isEmpty else { return nil }
    if path.first == UInt8(ascii: "@") {
      let name = [0] + path.dropFirst()
      return name.withUnsafeBytes { SocketAddress(unixPath: $0) }
    }
    guard !path.contains(0) else { return nil }
    return SocketAddress(unixPath: UnsafeRawBufferPointer(rebasing: path))
  }

  private static func v6(_ text: Slice<UnsafeRawBufferPointer>) -> SocketAddress? {
    guard let end = text.firstIndex(of: UInt8(ascii: "]")),
      let port = port(text[(end + 1)...])
    else { return nil }
    return SocketAddress(v6: String(decoding: text[..<end], as: UTF8.self), port: port)
  }

  /// The last of the numbers fills what the others leave.
  private static func v4(_ text: Slice<UnsafeRawBufferPointer>) -> UInt32? {
    if text.isEmpty { return 0 }
    let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count <= 4 else { return nil }
    var address: UInt32 = 0
    for (index, part) in parts.enumerated() {
      let bits = index < parts.count - 1 ? 8 : 32 - 8 * index
      guard let number = number(part), number < 1 << bits else { return nil }
      let shift = index < parts.count - 1 ? 24 - 8 * index : 0
      address |= UInt32(number) << shift
    }
    return address
  }

  /// What comes behind the host: nothing, a colon, or a colon and a number.
  private static func port(_ text: Slice<UnsafeRawBufferPointer>) -> UInt16? {
    if text.isEmpty { return 0 }
    guard text.first == UInt8(ascii: ":") else { return nil }
    let digits = text.dropFirst()
    return digits.isEmpty ? 0 : number(digits).flatMap { UInt16(exactly: $0) }
  }

  private static func number(_ digits: Slice<UnsafeRawBufferPointer>) -> UInt64? {
    guard !digits.isEmpty, digits.count <= 18 else { return nil }
    var number: UInt64 = 0
    for digit in digits {
      let value = digit &- UInt8(ascii: "0")
      guard value <= 9 else { return nil }
      number = number * 10 + UInt64(value)
    }
    return number
  }
}

extension LuaCall {
  /// Pushes an address in XPIO's format.
  func push(_ address: SocketAddress) {
    guard address.family == AF_UNIX else {
      push(address.description)
      return
    }
    push("unix:")
    address.withUnixPath { path in
      if path.first == 0 {
        push("@")
        push(UnsafeRawBufferPointer(rebasing: path.dropFirst()))
        concatenate(3)
      } else {
        push(path)
        concatenate(2)
      }
    }
  }
}
