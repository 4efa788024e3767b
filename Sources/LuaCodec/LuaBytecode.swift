import CMilongaLua
import CMilongaShims
import MilongaLua

/// The parts of the format of `string.dump` that we need (lundump.c and ldump.c of Lua 5.4).
enum LuaBytecode {
  /// 5.4, as a header has it.
  static let ourVersion: UInt8 = 0x54

  /// The version in a header; nil when it is none.
  static func version(of bytes: UnsafeRawBufferPointer) -> UInt8? {
    guard bytes.count > 4, bytes.prefix(4).elementsEqual([0x1B, 0x4C, 0x75, 0x61]) else {
      return nil
    }
    return bytes[4]
  }

  /// The bytecode of the Lua function at `index`, without its debug information; nil for C
  /// functions.
  static func dump(_ state: OpaquePointer, at index: Int32, strip: Bool) -> [UInt8]? {
    guard lua_iscfunction(state, index) == 0, lua_type(state, index) == LUA_TFUNCTION else {
      return nil
    }
    var bytes: [UInt8] = []
    lua_pushvalue(state, index)
    defer { milonga_pop(state, 1) }
    let status = withUnsafeMutablePointer(to: &bytes) { destination in
      lua_dump(
        state,
        { _, block, count, destination in
          let block = UnsafeRawBufferPointer(start: block, count: count)
          destination!.assumingMemoryBound(to: [UInt8].self).pointee.append(contentsOf: block)
          return 0
        }, destination, strip ? 1 : 0)
    }
    return status == 0 ? bytes : nil
  }

  /// Walks through stripped bytecode.
  private struct Cursor {
    let bytes: [UInt8]
    /// Behind the header and the number of upvalues.
    var position = 4 + 1 + 1 + 6 + 3 + 8 + 8 + 1

    /// A number, in groups of 7 bits, the last of which is marked.
    mutating func size() -> Int? {
      var value = 0
      while position < bytes.count, value >> 40 == 0 {
        let byte = bytes[position]
        position += 1
        value = value << 7 | Int(byte & 0x7F)
        if byte & 0x80 != 0 { return value }
      }
      return nil
    }

    /// Goes to the function's instructions, and returns how many there are.
    mutating func findInstructions() -> Int? {
      // Source (none), first and last line, then parameters, vararg, stack size.
      guard size() == 0, size() != nil, size() != nil else { return nil }
      position += 3
      guard let count = size(), position + 4 * count <= bytes.count else { return nil }
      return count
    }

    /// Goes from the instructions to the descriptions of the upvalues, and returns how many there
    /// are.
    mutating func findUpvalues(instructions: Int) -> Int? {
      position += 4 * instructions
      guard let constants = size() else { return nil }
      for _ in 0..<constants {
        guard position < bytes.count else { return nil }
        let type = bytes[position]
        position += 1
        switch type {
        case 0x03, 0x13: position += 8
        case 0x04, 0x14:
          guard let length = size(), length > 0 else { return nil }
          position += length - 1
        default: break
        }
      }
      guard let count = size(), position + 3 * count <= bytes.count else { return nil }
      return count
    }
  }

  /// Sets the origins of the function's own upvalues to 0 in stripped bytecode. They depend on the
  /// functions around it.
  ///
  /// - Returns: whether the bytecode is as expected.
  static func forgetUpvalueOrigins(_ bytes: inout [UInt8]) -> Bool {
    var cursor = Cursor(bytes: bytes)
    guard let instructions = cursor.findInstructions(),
      let upvalues = cursor.findUpvalues(instructions: instructions)
    else { return false }
    for index in cursor.position..<cursor.position + 3 * upvalues { bytes[index] = 0 }
    return true
  }

  /// Whether a chunk makes one function and returns it, and does nothing else: its instructions are
  /// VARARGPREP, CLOSURE, RETURN, RETURN.
  static func returnsFunction(_ bytes: [UInt8]) -> Bool {
    var cursor = Cursor(bytes: bytes)
    guard cursor.findInstructions() == 4 else { return false }
    let opcodes = (0..<4).map { bytes[cursor.position + 4 * $0] & 0x7F }
    return opcodes == [0x51, 0x4F, 0x46, 0x46]
  }
}
