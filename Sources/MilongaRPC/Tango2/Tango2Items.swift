/// The items in one frame of a stream: each is a message behind its length, a variable-length
/// integer as in Protocol Buffers (7 bits in a byte, the lowest first; the highest bit says that
/// another byte follows). No item is empty, and a frame that costs less than it is long
/// (``Tango2Stream``) has one item: so credit bounds their number, too.
public struct Tango2Items: Sequence {
  private let bytes: UnsafeRawBufferPointer

  /// Checks a payload; nil when it is malformed.
  @usableFromInline
  init?(_ payload: UnsafeRawBufferPointer) {
    bytes = payload
    var iterator = makeIterator()
    var count = 0
    while let item = iterator.next() {
      guard !item.isEmpty else { return nil }
      count += 1
    }
    guard iterator.rest.isEmpty, count > 0 else { return nil }
    guard count == 1 || payload.count <= Int(Tango2Stream.most) else { return nil }
  }

  /// The messages, in order. They lie in the received bytes.
  public func makeIterator() -> Iterator { Iterator(rest: bytes[...]) }

  /// Goes through the items.
  public struct Iterator: IteratorProtocol {
    fileprivate var rest: Slice<UnsafeRawBufferPointer>

    public mutating func next() -> UnsafeRawBufferPointer? {
      var length = 0
      var place = rest.startIndex
      repeat {
        // A frame has fewer than 2^32 bytes.
        guard place < rest.endIndex, place - rest.startIndex < 5 else { return nil }
        length |= Int(rest[place] & 0x7F) << (7 * (place - rest.startIndex))
        place += 1
      } while rest[place - 1] & 0x80 != 0
      guard rest.endIndex - place >= length else { return nil }
      let item = rest[place..<(place + length)]
      rest = rest[(place + length)...]
      return UnsafeRawBufferPointer(rebasing: item)
    }
  }

  /// Appends an item's length; its message is to follow.
  @inlinable
  public static func append(length: Int, to buffer: inout OutputBuffer) {
    var rest = length
    while rest >= 0x80 {
      buffer.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    buffer.append(UInt8(truncatingIfNeeded: rest))
  }
}
