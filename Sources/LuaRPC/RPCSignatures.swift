import CMilongaLua
import CMilongaShims
import MilongaLua

/// Which results of functions and methods are sent by reference: what `rpc.signature` declares.
final class RPCSignatures {
  /// Result types by the names of functions.
  private let functions: LuaStored
  /// Lengths, modulo 64, of the names in it: most functions are known by that to be none of them.
  private var lengths: UInt64 = 0
  /// Result types by the names of methods, by the names of types.
  private let types: LuaStored

  init(_ call: LuaCall) {
    call.pushTable()
    functions = LuaStored(popping: call)
    call.pushTable()
    types = LuaStored(popping: call)
    declare(call, "require", "#module")
  }

  private func declare(_ call: LuaCall, _ function: StaticString, _ type: StaticString) {
    functions.push(onto: call)
    call.pushTable(elements: 1)
    call.push(type)
    milonga_rawseti(call.state, -2, 1)
    call.setField("\(function)", of: -2)
    call.pop()
    note(function.utf8CodeUnitCount)
  }

  /// `signature(function, results)` or `signature(type, method, results)`; `results` is the name of
  /// a type, or a table of the names of types and of whatever else for results that are values.
  func declare(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    call.count = 3
    try call.check(1, is: .string)
    let isMethod = !call.isNoneOrNil(at: 3) || call.type(at: 2) == .string && isType(call, at: 1)
    if isMethod {
      try call.check(2, is: .string)
      types.push(onto: call)
      call.pushValue(at: 1)
      milonga_rawget(call.state, -2)
      if call.type(at: -1) != .table {
        call.pop()
        call.pushValue(at: 1)
        call.pushTable()
        call.pushValue(at: -1)
        call.insert(at: -3)
        milonga_rawset(call.state, -4)
      }
      call.pushValue(at: 2)
      try pushResults(call, at: 3)
    } else {
      note(try call.bytes(at: 1).count)
      functions.push(onto: call)
      call.pushValue(at: 1)
      try pushResults(call, at: 2)
    }
    milonga_rawset(call.state, -3)
    return .results(0)
  }

  private func isType(_ call: LuaCall, at index: Int) -> Bool {
    call.bytesIfString(at: index)?.first == UInt8(ascii: "#")
  }

  private func pushResults(_ call: LuaCall, at index: Int) throws(LuaFailure) {
    switch call.type(at: index) {
    case .table: call.pushValue(at: index)
    case .nil, .none, .string, .boolean:
      call.pushTable(elements: 1)
      if !call.isNoneOrNil(at: index) {
        call.pushValue(at: index)
        milonga_rawseti(call.state, -2, 1)
      }
    default: throw call.typeFailure(argument: index, expected: "string or table of strings")
    }
  }

  private func note(_ length: Int) { lengths |= 1 << UInt64(length & 63) }

  /// Pushes the result types of the function whose name, of this length, is at `index`, or nil.
  func push(_ call: LuaCall, functionAt index: Int, length: Int) {
    guard lengths & 1 << UInt64(length & 63) != 0 else { return call.pushNil() }
    functions.push(onto: call)
    call.pushValue(at: index)
    milonga_rawget(call.state, -2)
    call.remove(at: -2)
  }

  /// Pushes the result types of a method, or nil; replaces the name of the object's type on top.
  func replaceType(_ call: LuaCall, byResultsOfMethodAt index: Int) {
    let index = Int(lua_absindex(call.state, Int32(index)))
    types.push(onto: call)
    call.insert(at: -2)
    milonga_rawget(call.state, -2)
    call.remove(at: -2)
    guard call.type(at: -1) == .table else { return }
    call.pushValue(at: index)
    milonga_rawget(call.state, -2)
    call.remove(at: -2)
  }
}
