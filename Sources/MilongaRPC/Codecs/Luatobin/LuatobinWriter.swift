/// A sink that writes luatobin; see ``Luatobin``.
///
/// The writer owns the buffer of its connection. Each value of a message begins with
/// ``beginTopLevelValue()``. What it cannot hold it remembers as ``refusal``.
public struct LuatobinWriter: ~Copyable {
  /// Where the bytes go.
  public var buffer: OutputBuffer

  /// Why the values written since ``beginTopLevelValue()`` cannot be sent; nil when they can.
  public var refusal: LuatobinRefusal? { lacksMemory ? .memory : firstRefusal }

  @usableFromInline var firstRefusal: LuatobinRefusal?

  @usableFromInline var lacksMemory: Bool { buffer.lacksMemory || numbers.lacksMemory }

  @usableFromInline
  struct OpenTable {
    /// Where its number of pairs has to be written.
    @usableFromInline let place: Int
    @usableFromInline var pairs = 0

    @inlinable init(place: Int) { self.place = place }
  }

  @usableFromInline var open: ContiguousArray<OpenTable> = []
  @usableFromInline var numbers = ObjectNumbers()
  /// Our numbers of tables and functions, by their numbers in the source of the values.
  private var kept: [Int: Int] = [:]

  /// A writer that appends to `buffer`.
  @inlinable
  public init(buffer: consuming OutputBuffer = OutputBuffer()) { self.buffer = buffer }

  /// Begins with another value, whose objects are numbered anew.
  @inlinable
  public mutating func beginTopLevelValue() {
    if firstRefusal != nil { acceptAgain() }
    open.removeAll(keepingCapacity: true)
    numbers.forget()
    if hasKept { forgetKept() }
  }

  /// How deep the tables are nested that have not ended yet.
  @inlinable public var depth: Int { open.count }

  @usableFromInline var hasKept: Bool { !kept.isEmpty }

  @usableFromInline
  mutating func forgetKept() { kept = [:] }

  @usableFromInline
  mutating func acceptAgain() { firstRefusal = nil }

  @usableFromInline
  mutating func refuse(_ reason: LuatobinRefusal) {
    if firstRefusal == nil { firstRefusal = reason }
  }

  /// Writes a tag and 4 bytes: what comes in the place of a value in some protocols.
  public mutating func taggedID(_ tag: UInt8, _ id: UInt32) {
    buffer.append(tag, id)
  }
}

extension LuatobinWriter: ValueSink {
  /// Writes nil.
  @inlinable public mutating func null() { buffer.append(Luatobin.Tag.null) }

  /// Writes a boolean.
  @inlinable
  public mutating func boolean(_ value: Bool) {
    buffer.append(Luatobin.Tag.boolean)
    buffer.append(value ? 1 : 0)
  }

  /// Writes an integer; as a double if it needs more than 32 bits and is one exactly.
  @inlinable
  public mutating func integer(_ value: Int64) {
    if let small = Int32(exactly: value) {
      buffer.append(Luatobin.Tag.integer, UInt32(bitPattern: small))
    } else {
      large(value)
    }
  }

  @usableFromInline
  mutating func large(_ value: Int64) {
    if let exact = Double(exactly: value) { number(exact) } else { refuse(.integer(value)) }
  }

  /// Writes a double.
  @inlinable
  public mutating func number(_ value: Double) {
    buffer.append(Luatobin.Tag.number, value.bitPattern)
  }

  /// Writes a string, or a reference to one with the same bytes.
  @inlinable
  public mutating func string(_ bytes: UnsafeRawBufferPointer) {
    // Nothing can refer to a string outside of tables.
    if !open.isEmpty, !lacksMemory {
      let written = UnsafeRawPointer(buffer.base.unsafelyUnwrapped + buffer.head)
      let known = numbers.number(of: bytes, place: buffer.count) { place in
        let size = (written + place + 1).loadUnaligned(as: UInt16.self).bigEndian
        return size == bytes.count
          && UnsafeRawBufferPointer(start: written + place + 3, count: bytes.count)
            .elementsEqual(bytes)
      }
      if let known, known <= Luatobin.largestNumber { return writeReference(known) }
      if known != nil { numbers.count += 1 }
    }
    write(Luatobin.Tag.string, bytes)
  }

  /// Writes a string that is at the same address whenever it comes, and no other at that address.
  @inlinable
  @inline(__always)
  public mutating func internedString(_ bytes: UnsafeRawBufferPointer) {
    if !open.isEmpty, let address = bytes.baseAddress {
      if let known = numbers.number(of: address) {
        if known <= Luatobin.largestNumber { return writeReference(known) }
        numbers.count += 1
      }
    }
    write(Luatobin.Tag.string, bytes)
  }

  @inlinable
  mutating func write(_ tag: UInt8, _ bytes: UnsafeRawBufferPointer) {
    guard bytes.count <= Luatobin.largestSize else {
      return refuse(
        tag == Luatobin.Tag.string ? .string(bytes: bytes.count) : .function(bytes: bytes.count))
    }
    buffer.append(tag, UInt16(truncatingIfNeeded: bytes.count))
    buffer.append(bytes)
  }

  @inlinable
  mutating func writeReference(_ number: Int) {
    buffer.append(Luatobin.Tag.reference, UInt16(truncatingIfNeeded: number))
  }

  /// Whether the table or function with this address was written before; a reference to it was
  /// written then. Otherwise it is to begin now.
  @inlinable
  public mutating func refer(to address: UnsafeRawPointer) -> Bool {
    guard let known = numbers.number(of: address) else { return false }
    if known <= Luatobin.largestNumber { writeReference(known) } else { refuse(.reference) }
    return true
  }

  /// Writes the start of a table without an address.
  @inlinable
  public mutating func beginTable(elements: Int, entries: Int) {
    beginPlainTable()
    numbers.count += 1
  }

  /// Begins a table for which ``refer(to:)`` was just asked.
  @inlinable
  public mutating func beginReferredTable() { beginPlainTable() }

  @inlinable
  mutating func beginPlainTable() {
    buffer.append(Luatobin.Tag.table)
    open.append(OpenTable(place: buffer.count))
    buffer.append(0)
    buffer.append(0)
  }

  /// Writes the text or bytecode of a function for which ``refer(to:)`` was just asked.
  @inlinable
  public mutating func referredFunction(_ bytes: UnsafeRawBufferPointer) {
    write(Luatobin.Tag.function, bytes)
  }

  /// Writes the element's key.
  @inlinable
  public mutating func beginElement(_ index: Int) {
    beginKey()
    integer(Int64(index))
  }

  /// Counts a pair.
  @inlinable public mutating func beginKey() { open[open.count - 1].pairs += 1 }

  /// Writes the table's number of pairs in its place.
  @inlinable
  public mutating func endTable() {
    let table = open.removeLast()
    guard table.pairs <= Luatobin.largestSize else { return refuse(.table(pairs: table.pairs)) }
    if buffer.lacksMemory { return }
    buffer.withUnsafeMutableBytes { bytes in
      bytes[table.place] = UInt8(truncatingIfNeeded: table.pairs >> 8)
      bytes[table.place + 1] = UInt8(truncatingIfNeeded: table.pairs)
    }
  }
}

extension LuatobinWriter: GraphSink {
  /// Writes the text or bytecode of a function without an address.
  public mutating func function(_ bytes: UnsafeRawBufferPointer) {
    referredFunction(bytes)
    numbers.count += 1
  }

  /// The table that began last, or the function written last, has this number where it comes from.
  public mutating func keep(as number: Int) { kept[number] = numbers.count }

  /// Writes a reference to what has this number where it comes from.
  public mutating func reference(_ number: Int) {
    guard let own = kept[number], own <= Luatobin.largestNumber else { return refuse(.reference) }
    writeReference(own)
  }
}
