import CMilongaLua
import CMilongaShims
import LuaCodec
import MilongaLua
import MilongaRPC

/// Code that the other side sends once and runs as often as it wants, by its numbers.
final class Scripts {
  private let configuration: RPCConfiguration
  private let functions: LuaGraphSink.FunctionPolicy
  private let table: LuaStored
  private var count = 0

  /// - Parameter functions: what code is accepted.
  init(
    _ call: LuaCall, _ configuration: RPCConfiguration, _ functions: LuaGraphSink.FunctionPolicy
  ) {
    self.configuration = configuration
    self.functions = functions
    call.pushTable()
    table = LuaStored(popping: call)
  }

  /// Compiles the script at `index` and pushes its number; says why not otherwise.
  func keep(_ call: LuaCall, at index: Int) -> String? {
    guard count < configuration.limits.references else {
      return "rpc: the connection holds \(count) scripts already (max_references)"
    }
    switch call.type(at: index) {
    case .function: call.pushValue(at: index)
    case .string:
      if let failure = compile(call, at: index) { return failure }
    case .table:
      if let failure = joinPieces(call, at: index) { return failure }
      if let failure = compile(call, at: call.count) { return failure }
    default:
      return "rpc: newexec takes text, a table of pieces of text or a function, not a "
        + call.typeName(at: index)
    }
    count += 1
    let number = count
    table.push(onto: call)
    call.insert(at: -2)
    milonga_rawseti(call.state, -2, lua_Integer(number))
    call.push(number)
    return nil
  }

  /// Pushes the script whose number is at `index`; false, with nothing pushed, when there is none.
  func push(_ call: LuaCall, numberAt index: Int) -> Bool {
    guard call.type(at: index) == .number, let number = call.integerIfInteger(at: index) else {
      return false
    }
    table.push(onto: call)
    milonga_rawgeti(call.state, -1, lua_Integer(number))
    call.remove(at: -2)
    if call.type(at: -1) == .function { return true }
    call.pop()
    return false
  }

  /// Pushes the pieces in the table at `index` as one string.
  private func joinPieces(_ call: LuaCall, at index: Int) -> String? {
    var text: [UInt8] = []
    for position in stride(from: 1, through: Int(lua_rawlen(call.state, Int32(index))), by: 1) {
      milonga_rawgeti(call.state, Int32(index), lua_Integer(position))
      guard call.type(at: -1) == .string, let piece = call.bytesIfString(at: -1) else {
        return "rpc: piece \(position) of the script is a \(call.typeName(at: -1)), not text"
      }
      text += piece
      call.pop()
    }
    text.withUnsafeBytes { call.push($0) }
    return nil
  }

  /// Compiles the text at `index` and pushes the function.
  private func compile(_ call: LuaCall, at index: Int) -> String? {
    let bytes = call.bytesIfString(at: index)!
    if bytes.first == 0x1B, !functions.acceptsBytecode {
      return "rpc: bytecode is not loaded without accept_bytecode = true; send the source text"
    }
    let status = milonga_limited_load(
      call.state, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, "=rpc",
      functions.acceptsBytecode ? "bt" : "t", functions.instructions, functions.nanoseconds,
      configuration.memoryLimit)
    guard status == LUA_OK else { return call.stringIfString(at: -1) ?? "rpc: cannot be compiled" }
    configuration.environment?.set(call)
    return nil
  }
}
