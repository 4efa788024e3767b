/// Why luatobin cannot hold a value.
public enum LuatobinRefusal: Error, Sendable, Hashable {
  /// It is neither an integer of 32 bits nor one that a double holds exactly.
  case integer(Int64)

  /// A string of so many bytes is too long.
  case string(bytes: Int)

  /// A function whose text or bytecode has so many bytes is too long.
  case function(bytes: Int)

  /// A table of so many pairs is too large.
  case table(pairs: Int)

  /// A table or function comes again, but so many objects came before it that it has no number.
  case reference

  /// There is no memory for the bytes.
  case memory
}

extension LuatobinRefusal: CustomStringConvertible {
  /// What is wrong and what helps, as the end of a sentence that names the value.
  public var description: String {
    switch self {
    case .integer(let value):
      "the integer \(value) has no exact form in 32 bits or as a float; send it as a string"
    case .string(let bytes):
      "a string of \(bytes) bytes cannot be sent: \(Luatobin.largestSize) is the most; "
        + "send it in pieces"
    case .function(let bytes):
      "a function of \(bytes) bytes cannot be sent: \(Luatobin.largestSize) is the most"
    case .table(let pairs):
      "a table of \(pairs) pairs cannot be sent: \(Luatobin.largestSize) is the most; "
        + "send it in pieces"
    case .reference:
      "a table that comes twice, after 65,535 other objects, cannot be sent; send it in pieces"
    case .memory: "not enough memory"
    }
  }
}
