import CMilongaLua
import CMilongaShims
import LuaCodec
import MilongaLua
import MilongaRPC

// Code that the other side sends once and runs as often as it wants.
extension RPCPeer {
  /// Compiles the script at `index` and pushes its number; says why not otherwise.
  func keepScript(_ call: LuaCall, at index: Int) -> String? {
    guard scriptCount < configuration.limits.references else {
      return "rpc: the connection holds \(scriptCount) scripts already (max_references)"
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
    if scriptTable == 0 {
      call.pushTable()
      scriptTable = call.retainTop()
    }
    scriptCount += 1
    call.pushRetained(scriptTable)
    call.insert(at: -2)
    milonga_rawseti(call.state, -2, lua_Integer(scriptCount))
    call.push(scriptCount)
    return nil
  }

  /// Pushes the script whose number is at `index`; false, with nothing pushed, when there is none.
  func pushScript(_ call: LuaCall, numberAt index: Int) -> Bool {
    guard scriptTable != 0, call.type(at: index) == .number,
      let number = call.integerIfInteger(at: index)
    else { return false }
    call.pushRetained(scriptTable)
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
    if configuration.environment != 0 {
      call.pushRetained(configuration.environment)
      if lua_setupvalue(call.state, -2, 1) == nil { call.pop() }
    }
    return nil
  }
}
