public import MilongaRPC

/// What travels in a message: nil, booleans, integers, floats, strings of any bytes, tables.
public typealias RPCValue = Value

extension Value {
  /// What Lua's `type` says of it.
  var typeName: String {
    switch self {
    case .null: "nil"
    case .boolean: "boolean"
    case .integer, .number: "number"
    case .string: "string"
    case .table: "table"
    }
  }
}
