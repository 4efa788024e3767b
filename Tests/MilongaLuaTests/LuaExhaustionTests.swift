import MilongaLua
import Testing

/// A host whose state has no memory left: errors, and never the end of the process.
@Suite("Lua states without memory")
struct LuaExhaustionTests {
  private static let limit = 4 << 20

  /// A state whose script has filled its memory, and returned.
  private func fullState() throws -> LuaState {
    let lua = try LuaState(memoryLimit: Self.limit)
    try lua.run(
      """
      kept = {}
      pcall(function() while true do kept[#kept + 1] = ('x'):rep(1000) .. #kept end end)
      pcall(function() while true do kept[#kept + 1] = {} end end)
      """)
    return lua
  }

  private func expectMemoryError(_ body: () throws -> Void) {
    let error = #expect(throws: LuaError.self) { try body() }
    #expect(error?.kind == .memory)
    #expect(error?.message == "not enough memory")
  }

  @Test func ordinaryCallsFailOrSucceed() throws {
    let lua = try fullState()
    for _ in 0..<200 {
      do {
        #expect(try lua.evaluate("return 1 + 1", as: Int.self) == 2)
      } catch {
        #expect(error.kind == .memory)
      }
    }
    try lua.run("kept = nil")
    #expect(try lua.evaluate("return 1 + 1", as: Int.self) == 2)
  }

  @Test func largeGlobalsAreRefused() throws {
    let lua = try LuaState(memoryLimit: Self.limit)
    let large = String(repeating: "x", count: 2 * Self.limit)
    lua[global: "a"] = "before"
    expectMemoryError { try lua.setGlobal("a", to: large) }
    #expect(try lua.global("a", as: String.self) == "before")
    lua[global: "a"] = large
    #expect(lua[global: "a"] == "before")
    expectMemoryError { try lua.setGlobal(large, to: 1) }
    expectMemoryError { _ = try lua.global(large, as: Int.self) }
    #expect(lua.memoryInUse < Self.limit)
    #expect(try lua.evaluate("return a", as: String.self) == "before")
  }

  @Test func largeArgumentsAreRefusedBeforeTheCall() throws {
    let lua = try LuaState(memoryLimit: Self.limit)
    var calls = 0
    lua.register("count") { (_: String) in calls += 1 }
    let count = try lua.evaluate("return count", as: LuaFunction.self)
    let large = String(repeating: "x", count: 2 * Self.limit)
    expectMemoryError { let _: LuaValue = try count(large) }
    expectMemoryError { let _: LuaValue = try count([large, large]) }
    expectMemoryError { let _: LuaValue = try count(["key": large]) }
    expectMemoryError { let _: LuaValue = try count(LuaValue.bytes(Array(large.utf8))) }
    #expect(calls == 0)
    let _: LuaValue = try count("small")
    #expect(calls == 1)
  }

  @Test func tablesRefuseLargeKeysAndValues() throws {
    let lua = try LuaState(memoryLimit: Self.limit)
    let table = try lua.evaluate("t = {} return t", as: LuaTable.self)
    let large = String(repeating: "x", count: 2 * Self.limit)
    try table.set("a", to: 1)
    expectMemoryError { try table.set("a", to: large) }
    expectMemoryError { try table.set(large, to: 1) }
    expectMemoryError { _ = try table.get(large, as: LuaValue.self) }
    #expect(try table.get("a", as: Int.self) == 1)
  }

  /// Small ones, as many as one wants: each is served or refused, and so memory has a bound.
  @Test func manyFunctionsAreRefusedInTheEnd() throws {
    let lua = try LuaState(memoryLimit: Self.limit)
    expectMemoryError {
      for number in 0..<100_000 { try lua.setGlobal("f\(number)") { () -> Int in number } }
    }
    for number in 0..<100 { lua.register("g\(number)") { () -> Int in number } }
    #expect(lua.memoryInUse < Self.limit + (64 << 10))
    lua.memoryLimit(2 * Self.limit)
    #expect(try lua.evaluate("return f7()", as: Int.self) == 7)
  }

  @Test func referencesAndArraysFailInAFullState() throws {
    let lua = try fullState()
    for _ in 0..<50 {
      do {
        let table = try lua.evaluate("return kept", as: LuaTable.self)
        try table.set(Array(0..<50_000), to: true)
        Issue.record("a table of 50,000 elements found room")
      } catch {
        #expect(error.kind == .memory)
      }
    }
    #expect(lua.memoryInUse < Self.limit + (256 << 10))
  }

  /// Results that a callback pushes, and errors that it throws.
  @Test func callbacksFailAsAWhole() throws {
    let lua = try LuaState(memoryLimit: Self.limit)
    lua.register("many") { () -> [String] in
      (0..<100_000).map { "a text that is not so short \($0)" }
    }
    lua.register("complain") { () throws -> Int in
      throw LuaError(.runtime, String(repeating: "x", count: 2 * Self.limit))
    }
    for name in ["many", "complain"] {
      let text = try lua.evaluate(
        "local ok, e = pcall(\(name)) return tostring(ok) .. ' ' .. e", as: String.self)
      #expect(text == "false not enough memory")
    }
    #expect(lua.memoryInUse < Self.limit + (256 << 10))
    #expect(try lua.evaluate("return 1", as: Int.self) == 1)
  }

  /// A finalizer that runs while Swift pushes has an error of its own.
  @Test func finalizersInACallbackMayRunOutOfMemory() throws {
    let lua = try LuaState(memoryLimit: Self.limit)
    lua.register("push") { () -> [String] in (0..<2000).map { "text \($0)" } }
    try lua.run(
      """
      local function again()
        setmetatable({}, {__gc = function() again() local s = ('x'):rep(1 << 30) end})
      end
      again()
      for i = 1, 200 do push() end
      """)
    #expect(try lua.evaluate("return 1", as: Int.self) == 1)
  }
}
