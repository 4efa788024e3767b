/// A sink that writes MessagePack, each value in its shortest form; see ``MessagePack``.
public struct MessagePackWriter: ~Copyable {
  /// Where the bytes go.
  public var buffer: OutputBuffer

  // Whether the tables that are open, 64 levels of them, are maps: their elements need keys.
  @usableFromInline var maps: UInt64 = 0

  /// A writer that appends to `buffer`.
  @inlinable
  public init(buffer: consuming OutputBuffer = OutputBuffer()) { self.buffer = buffer }
}

extension MessagePackWriter: ValueSink {
  /// Headers come first, with exact counts.
  @inlinable public static var tableShape: TableShape { .counted }

  /// Writes `nil`.
  @inlinable public mutating func null() { buffer.append(0xC0) }

  /// Writes `false` or `true`.
  @inlinable public mutating func boolean(_ value: Bool) { buffer.append(value ? 0xC3 : 0xC2) }

  /// Writes an integer.
  @inlinable
  public mutating func integer(_ value: Int64) {
    if value >= -32, value < 128 {
      buffer.append(UInt8(truncatingIfNeeded: value))
    } else if value >= 0 {
      if value <= 0xFF {
        buffer.append(0xCC, UInt8(truncatingIfNeeded: value))
      } else if value <= 0xFFFF {
        buffer.append(0xCD, UInt16(truncatingIfNeeded: value))
      } else if value <= 0xFFFF_FFFF {
        buffer.append(0xCE, UInt32(truncatingIfNeeded: value))
      } else {
        buffer.append(0xCF, UInt64(value))
      }
    } else if value >= -0x80 {
      buffer.append(0xD0, Int8(truncatingIfNeeded: value))
    } else if value >= -0x8000 {
      buffer.append(0xD1, Int16(truncatingIfNeeded: value))
    } else if value >= -0x8000_0000 {
      buffer.append(0xD2, Int32(truncatingIfNeeded: value))
    } else {
      buffer.append(0xD3, value)
    }
  }

  /// Writes a float of 64 bits.
  @inlinable public mutating func number(_ value: Double) { buffer.append(0xCB, value.bitPattern) }

  /// Writes a string.
  @inlinable
  public mutating func string(_ bytes: UnsafeRawBufferPointer) {
    let count = bytes.count
    if count < 32 {
      buffer.append(0xA0 | UInt8(truncatingIfNeeded: count))
    } else if count <= 0xFF {
      buffer.append(0xD9, UInt8(truncatingIfNeeded: count))
    } else if count <= 0xFFFF {
      buffer.append(0xDA, UInt16(truncatingIfNeeded: count))
    } else {
      // More than 32 bits say does not fit into any frame either.
      buffer.append(0xDB, UInt32(clamping: count))
    }
    buffer.append(bytes)
  }

  /// Writes the header of an array, or of a map if there are entries.
  @inlinable
  public mutating func beginTable(elements: Int, entries: Int) {
    maps <<= 1
    if entries == 0 {
      header(elements, 0x90, 0xDC)
    } else {
      maps |= 1
      header(elements + entries, 0x80, 0xDE)
    }
  }

  /// Writes the index, in a map.
  @inlinable
  public mutating func beginElement(_ index: Int) { if maps & 1 != 0 { integer(Int64(index)) } }

  /// Writes nothing.
  @inlinable public mutating func endTable() { maps >>= 1 }

  /// MessagePack has extensions.
  @inlinable public var takesReferences: Bool { true }

  /// Writes a reference; see ``Tango2Reference``.
  public mutating func reference(_ reference: Tango2Reference) {
    buffer.append(0xC7)
    buffer.append(UInt8(Tango2Reference.extensionBytes))
    buffer.append(Tango2Reference.extensionType)
    buffer.append(reference.kindByte, reference.number)
  }

  /// - Parameters:
  ///   - short: Begins the header of up to 15.
  ///   - long: Begins that of up to 65535; the next one that of more.
  @inlinable
  mutating func header(_ count: Int, _ short: UInt8, _ long: UInt8) {
    if count < 16 {
      buffer.append(short | UInt8(truncatingIfNeeded: count))
    } else if count <= 0xFFFF {
      buffer.append(long, UInt16(truncatingIfNeeded: count))
    } else {
      buffer.append(long + 1, UInt32(clamping: count))
    }
  }
}

extension MessagePackWriter: MessageEncoder {
  /// Starts the message's array.
  @inlinable
  public mutating func beginMessage(elements: Int) { beginTable(elements: elements, entries: 0) }

  /// Ends the message's array.
  @inlinable public mutating func endMessage() { endTable() }

  /// Forgets the tables that are open.
  @inlinable public mutating func breakOff() { maps = 0 }

  /// Nothing is ever refused.
  @inlinable public var refusal: StaticString? { nil }
}
