/// Copies the bytes of a string, with what its escapes stand for in their places. Returns how many
/// bytes that makes.
///
/// - Parameters:
///   - room: as long as `raw`: no escape stands for more than itself.
///   - escape: writes what the escape at a place stands for, and steps over both. False, with
///     nothing done, when there is none, and the backslash stands for itself.
@inline(__always)
func copy(
  _ raw: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer,
  escape: (
    _ place: inout UnsafeRawPointer, _ end: UnsafeRawPointer,
    _ output: inout UnsafeMutableRawPointer
  ) -> Bool
) -> Int {
  guard var place = raw.baseAddress, var output = room.baseAddress else { return 0 }
  let end = place + raw.count
  while place < end {
    // Quotes that need no escape here are not special: only backslashes are looked for.
    let special = firstSpecial(place, end, quote: UInt8(ascii: "\\"))
    output.copyMemory(from: place, byteCount: special - place)
    output += special - place
    place = special
    guard place < end else { break }
    let byte = place.load(as: UInt8.self)
    if byte == UInt8(ascii: "\\"), escape(&place, end, &output) { continue }
    // A control character.
    output.storeBytes(of: byte, as: UInt8.self)
    output += 1
    place += 1
  }
  return output - room.baseAddress.unsafelyUnwrapped
}
