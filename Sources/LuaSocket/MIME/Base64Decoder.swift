/// Four characters become three bytes, fewer with padding. Other characters, line breaks among
/// them, do not count.
package struct Base64Decoder: MIMECodec {
  package private(set) var held = HeldBytes()

  package init() {}

  package mutating func translate(
    _ piece: UnsafeRawBufferPointer, into output: inout MIMEOutput
  ) throws(MIMEOutput.TooLarge) {
    guard var source = piece.baseAddress else { return }
    let end = source + piece.count
    var target = try output.reserve((piece.count + held.count) / 4 * 3)
    while source < end {
      if held.isEmpty { Self.decodeCleanGroups(&source, end, &target) }
      // What is no clean group is gathered character by character.
      while source < end {
        let byte = source.load(as: UInt8.self)
        source += 1
        guard byte == padding || !Base64.isOther(byte) else { continue }
        held.append(byte)
        if held.count == 4 {
          decodeHeld(&target)
          break
        }
      }
    }
    output.wrote(upTo: target)
  }

  /// A group that is not complete is worth nothing.
  package mutating func finish(into output: inout MIMEOutput) { held = HeldBytes() }

  /// Decodes groups until one contains something else than the 64 characters.
  @inline(__always)
  private static func decodeCleanGroups(
    _ source: inout UnsafeRawPointer, _ end: UnsafeRawPointer,
    _ target: inout UnsafeMutableRawPointer
  ) {
    let values = Base64.values
    while end - source >= 8 {
      let word = UInt64(littleEndian: source.loadUnaligned(as: UInt64.self))
      let first = Base64.group(UInt32(truncatingIfNeeded: word), values)
      let second = Base64.group(UInt32(truncatingIfNeeded: word >> 32), values)
      guard (first | second) & Base64.other == 0 else { break }
      let bytes = UInt64(first) | UInt64(second) << 24
      target.storeBytes(of: bytes.littleEndian, as: UInt64.self)
      source += 8
      target += 6
    }
    while end - source >= 4 {
      let word = UInt32(littleEndian: source.loadUnaligned(as: UInt32.self))
      let bytes = Base64.group(word, values)
      guard bytes & Base64.other == 0 else { return }
      target.storeBytes(of: bytes.littleEndian, as: UInt32.self)
      source += 4
      target += 3
    }
  }

  /// Padding counts as zero wherever it is, and as the end in the last two places.
  private mutating func decodeHeld(_ target: inout UnsafeMutableRawPointer) {
    var bytes: UInt32 = 0
    for place in 0..<4 where held[place] != padding {
      bytes |= Base64.values[place << 8 | Int(held[place])]
    }
    target.storeBytes(of: bytes.littleEndian, as: UInt32.self)
    target += held[2] == padding ? 1 : held[3] == padding ? 2 : 3
    held = HeldBytes()
  }
}

private let padding = UInt8(ascii: "=")

extension Base64 {
  /// Marks bytes that are not among the 64 characters.
  static let other: UInt32 = 1 << 24

  /// For each of the four places in a group, and each character, its six bits where they belong in
  /// the three bytes, the first of which is the low one.
  static let values = LookupTable<UInt32>(count: 4 * 256) { index in
    let character = UInt8(truncatingIfNeeded: index)
    guard let value = (0..<64).first(where: { alphabet.utf8Start[$0] == character }) else {
      return other
    }
    return (UInt32(value) << (18 - 6 * UInt32(index >> 8))).byteSwapped >> 8
  }

  static func isOther(_ character: UInt8) -> Bool { values[character] == other }

  /// The three bytes of four characters, with ``other`` when not all of them are characters.
  @inline(__always)
  static func group(_ characters: UInt32, _ values: LookupTable<UInt32>) -> UInt32 {
    values[characters & 0xff] | values[256 | characters >> 8 & 0xff]
      | values[512 | characters >> 16 & 0xff] | values[768 | characters >> 24]
  }
}
