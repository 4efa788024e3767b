import MilongaLua
import Testing

@Suite("Lua for module authors")
struct LuaModuleAuthorTests {
  private func state(_ name: StaticString, _ body: @escaping LuaBody) throws -> LuaState {
    let lua = try LuaState()
    lua.call.push(function: body)
    let function = LuaFunction(lua.call, at: -1)!
    lua.call.pop()
    lua[global: "\(name)"] = function
    return lua
  }

  @Test func aYieldRunsTheSameFunctionAgain() throws {
    let lua = try state("ask") { (call) throws(LuaFailure) in
      switch call.phase {
      case .entered:
        call.push("question")
        return .yield(1, state: 7)
      default:
        // The argument is still at 1, what resume was given lies above it.
        call.push(call.step)
        call.pushValue(at: 1)
        call.pushValue(at: 2)
        return .results(3)
      }
    }
    let text = try lua.evaluate(
      """
      local co = coroutine.create(function() return ask('mine') end)
      local r = {select(2, coroutine.resume(co))}
      for _, v in ipairs {select(2, coroutine.resume(co, 'answer'))} do r[#r + 1] = v end
      return table.concat(r, ' ')
      """, as: String.self)
    #expect(text == "question 7 mine answer")
  }

  @Test func yieldingOutsideACoroutineIsAnError() throws {
    let lua = try state("ask") { (_) throws(LuaFailure) in .yield() }
    let error = #expect(throws: LuaError.self) { try lua.run("ask()") }
    #expect(error?.message.contains("attempt to yield from outside a coroutine") == true)
  }

  @Test func yieldingAcrossACBoundaryIsAnError() throws {
    let lua = try state("ask") { (_) throws(LuaFailure) in .yield() }
    let error = #expect(throws: LuaError.self) {
      try lua.run("coroutine.wrap(function() table.sort({1, 2, 3}, ask) end)()")
    }
    #expect(error?.message.contains("attempt to yield across a C-call boundary") == true)
  }

  @Test func calledFunctionsMayYieldAndFail() throws {
    let lua = try state("guard") { (call) throws(LuaFailure) in
      switch call.phase {
      case .entered: return .protectedCall(arguments: call.count - 1, state: 1)
      case .returned:
        call.push("ok")
        call.insert(at: 1)
        return .results(call.count)
      default:
        call.push("failed")
        call.insert(at: call.count - 1)
        return .results(2)
      }
    }
    let text = try lua.evaluate(
      """
      local co = coroutine.wrap(function()
        local a = {guard(function(x) return x, coroutine.yield() end, 1)}
        local b = {guard(function() coroutine.yield() error('bad', 0) end)}
        local c = {guard(function() error('bad', 0) end)}
        return table.concat(a, ' ') .. ', ' .. table.concat(b, ' ') .. ', ' .. table.concat(c, ' ')
      end)
      co() co(2)
      return co()
      """, as: String.self)
    #expect(text == "ok 1 2, failed bad, failed bad")
  }

  @Test func userdataIsCheckedAndFinalised() throws {
    final class Log { var finalised: [Int] = [] }
    let log = Log()
    do {
      let lua = try LuaState()
      let counters = LuaClass<Int>(lua.call, name: "counter") { call in
        call.pushNil()
        call.setField("nothing", of: -2)
      } finalize: {
        log.finalised.append($0)
      }
      lua.call.push(function: { (call) throws(LuaFailure) in
        counters.push(try call.integer(at: 1), onto: call)
        return .results(1)
      })
      lua[global: "counter"] = LuaFunction(lua.call, at: -1)!
      lua.call.push(function: { (call) throws(LuaFailure) in
        let counter = try counters.check(call, at: 1)
        counter.pointee += 1
        call.push(counter.pointee)
        return .results(1)
      })
      lua[global: "count"] = LuaFunction(lua.call, at: -1)!
      #expect(try lua.evaluate("c = counter(41) return count(c)", as: Int.self) == 42)
      let wrong = #expect(throws: LuaError.self) { try lua.run("count(io.stdout)", name: "=s") }
      #expect(wrong?.message == "s:1: bad argument #1 to 'count' (counter expected, got FILE*)")
      // Only the collector finalises.
      #expect(try lua.evaluate("getmetatable(c).__gc(c) return count(c)", as: Int.self) == 43)
      #expect(log.finalised == [])
      try lua.run("counter(7) collectgarbage()")
      #expect(log.finalised == [7])
      try lua.run("kept = counter(9)")
    }
    #expect(log.finalised.sorted() == [7, 9, 43])
  }

  @Test func `a finaliser that scripts may call leaves the payload alive`() throws {
    final class Log { var count = 0 }
    let log = Log()
    do {
      let lua = try LuaState()
      let boxes = LuaClass<Int>(lua.call, incomplete: "box")
      boxes.complete(lua.call, finalizesByHand: true, finalize: { _ in log.count += 1 })
      boxes.push(1, onto: lua.call)
      lua[global: "box"] = LuaValue(lua.call, at: -1)!
      lua.call.pop()
      try lua.run("local gc = getmetatable(box).__gc gc(box) gc(box) gc(5) gc()")
      #expect(log.count == 2)
      lua.call.pushNil()
      #expect(boxes.payload(lua.call, at: -1) == nil)
      try lua.run("debug.setmetatable(box, nil) collectgarbage()")
    }
    #expect(log.count == 2)
  }

  @Test func toBeClosedVariablesCloseUserdata() throws {
    final class Log { var events: [String] = [] }
    let log = Log()
    do {
      let lua = try LuaState()
      let files = LuaClass<String>(
        lua.call, name: "file",
        close: { log.events.append("close \($0)") },
        finalize: { log.events.append("finalize \($0)") })
      lua.call.push(function: { (call) throws(LuaFailure) in
        files.push(try call.string(at: 1), onto: call)
        return .results(1)
      })
      lua[global: "file"] = LuaFunction(lua.call, at: -1)!
      try lua.run("do local f <close> = file('a') end")
      #expect(log.events == ["close a"])
      #expect(throws: LuaError.self) {
        try lua.run("local f <close> = file('b') error('left by an error')")
      }
      #expect(log.events == ["close a", "close b"])
    }
    #expect(log.events.suffix(2).sorted() == ["finalize a", "finalize b"])
  }

  @Test func objectsWithoutCloseCannotBeClosed() throws {
    let lua = try LuaState()
    let numbers = LuaClass<Int>(lua.call, name: "number box")
    lua.call.push(function: { (call) throws(LuaFailure) in
      numbers.push(1, onto: call)
      return .results(1)
    })
    lua[global: "box"] = LuaFunction(lua.call, at: -1)!
    let error = #expect(throws: LuaError.self) { try lua.run("local b <close> = box()") }
    #expect(error?.message.contains("variable 'b' got a non-closable value") == true)
  }

  @Test func errorsRaiseAnyValue() throws {
    let lua = try state("raise") { (call) throws(LuaFailure) in
      call.count = 1
      throw .raised
    }
    #expect(
      try lua.evaluate(
        "local t = {} local ok, e = pcall(raise, t) return e == t", as: Bool.self))
  }
}
