/// A translation that is fed piece by piece.
package protocol MIMECodec {
  /// Bytes that were taken and not yet translated, because that depends on what follows.
  var held: HeldBytes { get }

  /// Takes the next bytes and writes what is certain by now.
  mutating func translate(
    _ piece: UnsafeRawBufferPointer, into output: inout MIMEOutput
  ) throws(MIMEOutput.TooLarge)

  /// Writes what the held bytes become when nothing follows.
  mutating func finish(into output: inout MIMEOutput) throws(MIMEOutput.TooLarge)
}

/// A codec that translates the beginning of what it has and holds the rest, at most two bytes,
/// until there is more.
protocol PrefixCodec: MIMECodec {
  var held: HeldBytes { get set }

  /// Writes the translation of the first bytes and returns how many they are.
  func translatePrefix(
    of bytes: UnsafeRawBufferPointer, into output: inout MIMEOutput
  ) throws(MIMEOutput.TooLarge) -> Int
}

extension PrefixCodec {
  package mutating func translate(
    _ piece: UnsafeRawBufferPointer, into output: inout MIMEOutput
  ) throws(MIMEOutput.TooLarge) {
    guard !piece.isEmpty else { return }
    var rest = piece
    if !held.isEmpty {
      // Two more bytes decide about all that was held.
      let more = min(2, piece.count)
      var seam = held
      for byte in piece[..<more] { seam.append(byte) }
      held = try hold(seam, into: &output)
      guard held.count <= more else { return }
      // What is held now is of this piece: it is translated where it lies.
      rest = UnsafeRawBufferPointer(rebasing: piece[(more - held.count)...])
    }
    let translated = try translatePrefix(of: rest, into: &output)
    held = HeldBytes(rest[translated...])
  }

  /// Translates these few bytes as far as possible: what is left of them.
  private func hold(
    _ bytes: HeldBytes, into output: inout MIMEOutput
  ) throws(MIMEOutput.TooLarge) -> HeldBytes {
    var left = bytes
    var failure: MIMEOutput.TooLarge?
    bytes.withUnsafeBytes { bytes in
      do throws(MIMEOutput.TooLarge) {
        left = HeldBytes(bytes[try translatePrefix(of: bytes, into: &output)...])
      } catch { failure = error }
    }
    if let failure { throw failure }
    return left
  }
}

/// At most four bytes, in place.
package struct HeldBytes: Sendable {
  private var word: UInt32 = 0
  package private(set) var count = 0

  init() {}

  init(_ bytes: Slice<UnsafeRawBufferPointer>) {
    for byte in bytes { append(byte) }
  }

  package var isEmpty: Bool { count == 0 }

  /// The byte at a place; `index` is below ``count``.
  @inline(__always)
  subscript(index: Int) -> UInt8 { UInt8(truncatingIfNeeded: word >> (8 * UInt32(index))) }

  @inline(__always)
  mutating func append(_ byte: UInt8) {
    word |= UInt32(byte) << (8 * UInt32(count))
    count += 1
  }

  /// Gives `body` the bytes, valid only during the call.
  package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    Swift.withUnsafeBytes(of: word.littleEndian) {
      body(UnsafeRawBufferPointer(rebasing: $0[..<count]))
    }
  }
}
