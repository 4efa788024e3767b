import MilongaLua
import Testing

@Suite("Lua limits")
struct LuaLimitTests {
  @Test func memoryLimitStopsLuaCode() throws {
    let lua = try LuaState(memoryLimit: 4 << 20)
    let error = #expect(throws: LuaError.self) {
      try lua.run("local t = {} for i = 1, 1e9 do t[i] = {i} end")
    }
    #expect(error?.kind == .memory)
    #expect(lua.memoryInUse <= 4 << 20)
    // The state goes on.
    #expect(try lua.evaluate("return 1 + 1", as: Int.self) == 2)
  }

  @Test func memoryLimitCanBeCaughtInLua() throws {
    let lua = try LuaState(memoryLimit: 4 << 20)
    let text = try lua.evaluate(
      "local ok, e = pcall(string.rep, 'x', 1 << 24) return tostring(e)", as: String.self)
    #expect(text == "not enough memory")
  }

  @Test func memoryTakenBySwiftIsReportedOnReturn() throws {
    let lua = try LuaState(memoryLimit: 4 << 20)
    lua.register("large") { () -> String in String(repeating: "x", count: 8 << 20) }
    let text = try lua.evaluate(
      "local ok, e = pcall(large) return tostring(ok) .. ' ' .. e", as: String.self)
    #expect(text == "false not enough memory")
  }

  @Test func instructionLimitStopsEndlessLoops() throws {
    let lua = try LuaState(instructionLimit: 100_000)
    let error = #expect(throws: LuaError.self) { try lua.run("while true do end", name: "=s") }
    #expect(error?.message == "s:1: instruction limit reached")
  }

  @Test func instructionLimitCannotBeCaught() throws {
    let lua = try LuaState(instructionLimit: 100_000)
    let error = #expect(throws: LuaError.self) {
      try lua.run("while true do pcall(function() while true do end end) end")
    }
    #expect(error?.message.hasSuffix("instruction limit reached") == true)
  }

  @Test func instructionLimitHoldsInCoroutines() throws {
    let lua = try LuaState(instructionLimit: 100_000)
    let error = #expect(throws: LuaError.self) {
      try lua.run("coroutine.wrap(function() while true do end end)()")
    }
    #expect(error?.message.hasSuffix("instruction limit reached") == true)
  }

  @Test func instructionLimitCanBeRaised() throws {
    let lua = try LuaState(instructionLimit: 10_000)
    #expect(throws: LuaError.self) { try lua.run("while true do end") }
    lua.instructionLimit(nil)
    #expect(try lua.evaluate("local n = 0 for i = 1, 1e6 do n = n + 1 end return n") == 1_000_000)
  }

  @Test func deepRecursionIsAnError() throws {
    let lua = try LuaState()
    lua.register("again") { (f: LuaFunction) throws -> Int in try f(as: Int.self) }
    let luaLevel = #expect(throws: LuaError.self) {
      try lua.run("local function f() return 1 + f() end f()")
    }
    #expect(luaLevel?.message.contains("stack overflow") == true)
    let swiftLevel = #expect(throws: LuaError.self) {
      try lua.run("local function f() return again(f) end f()")
    }
    #expect(swiftLevel?.message.contains("stack overflow") == true)
  }
}
