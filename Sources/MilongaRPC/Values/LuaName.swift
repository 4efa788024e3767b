// Names as Lua's grammar has them: what may stand in a table constructor as `name = value`.

/// Whether `byte` may start a name.
@inlinable
func isNameStart(_ byte: UInt8) -> Bool {
  switch byte | 0x20 {
  case UInt8(ascii: "a")...UInt8(ascii: "z"): true
  default: byte == UInt8(ascii: "_")
  }
}

/// Whether `byte` may stand in a name after its start.
@inlinable
func isNamePart(_ byte: UInt8) -> Bool { isNameStart(byte) || isDigit(byte) }

/// Whether `byte` is a decimal digit.
@inlinable
func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

/// Whether `bytes` are a name that no Lua from 5.1 to 5.4 reserves.
@usableFromInline
func isName(_ bytes: UnsafeRawBufferPointer) -> Bool {
  guard let first = bytes.first, isNameStart(first) else { return false }
  for byte in bytes where !isNamePart(byte) { return false }
  return !isReserved(bytes)
}

private func isReserved(_ word: UnsafeRawBufferPointer) -> Bool {
  func `is`(_ reserved: StaticString) -> Bool { word.isEqual(to: reserved) }
  return switch word.count {
  case 2: `is`("do") || `is`("if") || `is`("in") || `is`("or")
  case 3: `is`("and") || `is`("end") || `is`("for") || `is`("nil") || `is`("not")
  case 4: `is`("else") || `is`("goto") || `is`("then") || `is`("true")
  case 5: `is`("break") || `is`("false") || `is`("local") || `is`("until") || `is`("while")
  case 6: `is`("elseif") || `is`("repeat") || `is`("return")
  case 8: `is`("function")
  default: false
  }
}

extension UnsafeRawBufferPointer {
  /// Whether the bytes are those of `literal`.
  @inlinable
  @inline(__always)
  func isEqual(to literal: StaticString) -> Bool {
    guard count == literal.utf8CodeUnitCount else { return false }
    for index in 0..<count where self[index] != literal.utf8Start[index] { return false }
    return true
  }
}
