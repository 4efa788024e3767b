import CMilongaLua
import CMilongaShims
import Copas
import MilongaLua

/// What `con.pipeline(f)` does next when it runs again, and where its values lie on the stack.
private enum Pipeline: Int {
  /// The program's function has made its calls.
  case body = 1
  /// The answer to one of them is there.
  case get

  static let connection = 1
  static let list = 2
  static let results = 3
  /// The first error, and whether there is one.
  static let error = 4
  static let hasFailed = 5
  /// The future that is waited for.
  static let position = 6
}

// Calls whose answers are waited for later.
extension TangoProxies {
  /// `con.async.name(...)`: the future takes the place of the proxy.
  func callLater(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    guard call.phase == .entered else {
      let payload = try futures.check(call, at: 1)
      try loop.requireOwnResumption(call, "tango")
      return try payload.client.begin(call, payload.future)
    }
    guard call.type(at: 1) == .table, call.reserve(12) else {
      throw call.typeFailure(argument: 1, expected: "tango proxy")
    }
    call.pushField(Self.listKey, of: 1)
    let list = call.count
    let isListed = call.type(at: list) == .table
    // Behind the arguments, and not sent: it goes with the proxy.
    let arguments = list - 1
    call.pushField(Self.connectionKey, of: 1)
    let client = try connections.check(call, at: list + 1).pointee
    let future = futures.push(call, client, connection: list + 1)
    if isListed {
      call.pushValue(at: -1)
      milonga_rawseti(
        call.state, Int32(list), lua_Integer(lua_rawlen(call.state, Int32(list))) + 1)
    }
    call.insert(at: 1)
    call.count = arguments + 1
    // future, proxy, arguments  becomes  future, path, arguments
    call.pushField(Self.pathKey, of: 2)
    guard call.type(at: -1) == .string else {
      future.fail("not sent")
      throw call.failure(
        "tango: the connection itself cannot be called; name a remote function: con.async.name(...)"
      )
    }
    call.replace(at: 2)
    future.mayRest = isListed
    return try client.begin(call, future)
  }

  /// `con.pipeline(f)`: the calls that `f` makes through its argument leave together; the first
  /// results of all of them, in a table.
  func pipeline(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    switch call.phase {
    case .entered:
      try call.check(1, is: .function)
      call.count = 1
      call.pushUpvalue(1)
      call.insert(at: 1)
      call.pushTable()
      call.insert(at: Pipeline.list)
      call.pushTable()
      call.insert(at: Pipeline.results)
      call.pushNil()
      call.insert(at: Pipeline.error)
      call.push(false)
      call.insert(at: Pipeline.hasFailed)
      call.push(0)
      call.insert(at: Pipeline.position)
      push(call, connection: Pipeline.connection, path: nil, isAsync: true, list: Pipeline.list)
      return .protectedCall(arguments: 1, results: 0, state: Pipeline.body.rawValue)
    case .resumed: return .results(0)
    case .returned, .failed:
      let hasFailed = call.phase == .failed
      let isBody = call.step == Pipeline.body.rawValue
      if isBody {
        try connections.check(call, at: Pipeline.connection).pointee.proxied.sendRested(call)
      }
      // The function failed: raise its error and discard the answers.
      if isBody, hasFailed { throw .raised }
      let position = try call.integer(at: Pipeline.position)
      if !isBody {
        if !hasFailed {
          milonga_rawseti(call.state, Int32(Pipeline.results), lua_Integer(position))
        } else if !call.boolean(at: Pipeline.hasFailed) {
          call.replace(at: Pipeline.error)
          call.push(true)
          call.replace(at: Pipeline.hasFailed)
        }
      }
      call.count = Pipeline.position
      guard position < Int(lua_rawlen(call.state, Int32(Pipeline.list))) else {
        return try endPipeline(call, position)
      }
      call.push(position + 1)
      call.replace(at: Pipeline.position)
      futures.pushGet(call)
      milonga_rawgeti(call.state, Int32(Pipeline.list), lua_Integer(position + 1))
      return .protectedCall(arguments: 1, results: 1, state: Pipeline.get.rawValue)
    }
  }

  private func endPipeline(_ call: LuaCall, _ count: Int) throws(LuaFailure) -> LuaOutcome {
    if call.boolean(at: Pipeline.hasFailed) {
      call.pushValue(at: Pipeline.error)
      throw .raised
    }
    call.pushValue(at: Pipeline.results)
    call.push(count)
    call.setField("n", of: -2)
    return .results(1)
  }
}
