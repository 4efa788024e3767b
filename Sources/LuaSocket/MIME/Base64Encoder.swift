/// Three bytes become four characters (RFC 2045, section 6.8). Nothing breaks the lines.
package struct Base64Encoder: PrefixCodec {
  package internal(set) var held = HeldBytes()

  package init() {}

  func translatePrefix(
    of bytes: UnsafeRawBufferPointer, into output: inout MIMEOutput
  ) throws(MIMEOutput.TooLarge) -> Int {
    let groups = bytes.count / 3
    guard groups > 0, var source = bytes.baseAddress else { return 0 }
    let end = source + groups * 3
    var target = try output.reserve(groups * 4)
    let pairs = Base64.pairs
    // Eight bytes are loaded, six of them become eight characters.
    while end - source >= 8 {
      let word = UInt64(bigEndian: source.loadUnaligned(as: UInt64.self))
      let characters =
        UInt64(pairs[word >> 52]) | UInt64(pairs[word >> 40 & 0xfff]) << 16
        | UInt64(pairs[word >> 28 & 0xfff]) << 32 | UInt64(pairs[word >> 16 & 0xfff]) << 48
      target.storeBytes(of: characters.littleEndian, as: UInt64.self)
      source += 6
      target += 8
    }
    while source < end {
      let group =
        UInt32(source.load(as: UInt8.self)) << 16
        | UInt32(source.load(fromByteOffset: 1, as: UInt8.self)) << 8
        | UInt32(source.load(fromByteOffset: 2, as: UInt8.self))
      Base64.store(group, to: target)
      source += 3
      target += 4
    }
    output.wrote(upTo: target)
    return groups * 3
  }

  package mutating func finish(into output: inout MIMEOutput) throws(MIMEOutput.TooLarge) {
    guard !held.isEmpty else { return }
    let target = try output.reserve(4)
    let second = held.count > 1 ? UInt32(held[1]) << 8 : 0
    Base64.store(UInt32(held[0]) << 16 | second, to: target)
    let padding = UInt8(ascii: "=")
    if held.count == 1 { target.storeBytes(of: padding, toByteOffset: 2, as: UInt8.self) }
    target.storeBytes(of: padding, toByteOffset: 3, as: UInt8.self)
    output.wrote(upTo: target + 4)
    held = HeldBytes()
  }
}

enum Base64 {
  static let alphabet: StaticString =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

  /// For each twelve bits the two characters, the first of them in the low byte.
  static let pairs = LookupTable<UInt16>(count: 4096) { bits in
    UInt16(alphabet.utf8Start[bits >> 6]) | UInt16(alphabet.utf8Start[bits & 63]) << 8
  }

  /// Stores the four characters of 24 bits.
  @inline(__always)
  static func store(_ group: UInt32, to target: UnsafeMutableRawPointer) {
    let characters = UInt32(pairs[group >> 12]) | UInt32(pairs[group & 0xfff]) << 16
    target.storeBytes(of: characters.littleEndian, as: UInt32.self)
  }
}
