import Foundation
import MilongaLua
import Testing

/// Time limits and interruption.
@Suite("Lua time limits")
struct LuaTimeTests {
  @Test func `each outermost call has its time`() throws {
    let lua = try LuaState(timeLimit: 0.05)
    for _ in 1...3 {
      let error = #expect(throws: LuaError.self) { try lua.run("while true do end", name: "=s") }
      #expect(error?.kind == .limit)
      #expect(error?.message == "s:1: time limit reached")
      #expect(try lua.evaluate("return 7", as: Int.self) == 7)
    }
    // A call inside of a call has none of its own.
    lua.register("call") { (f: LuaFunction) -> Bool in (try? f(as: Int.self)) != nil }
    let error = #expect(throws: LuaError.self) {
      try lua.run("while true do call(function() while true do end end) end")
    }
    #expect(error?.message.hasSuffix("time limit reached") == true)
    lua.timeLimit(nil)
    #expect(try lua.evaluate("local n = 0 for i = 1, 1e6 do n = i end return n") == 1_000_000)
  }

  @Test func `a function of the program is not ended, but its caller is`() throws {
    let lua = try LuaState(timeLimit: 0.02)
    lua.register("wait") { () -> Void in Thread.sleep(forTimeInterval: 0.05) }
    lua[global: "n"] = 0
    let error = #expect(throws: LuaError.self) { try lua.run("wait() for i = 1, 100 do n = i end") }
    #expect(error?.kind == .limit)
    #expect(try #require(lua[global: "n"] as Int?) < 10)
  }

  @Test func `compiling takes time, too`() throws {
    let lua = try LuaState(timeLimit: 0.05)
    let level = "local " + (1...190).map { "v\($0)" }.joined(separator: ",") + " return function() "
    let code =
      String(repeating: level, count: 80) + String(repeating: "x = y ", count: 100_000)
      + String(repeating: " end", count: 80)
    let error = #expect(throws: LuaError.self) { try lua.run(code) }
    #expect(error?.kind == .limit)
  }

  @Test func `all limits work together`() throws {
    let lua = try LuaState(memoryLimit: 8 << 20, instructionLimit: 1000, timeLimit: 60)
    let first = #expect(throws: LuaError.self) { try lua.run("while true do end") }
    #expect(first?.message.hasSuffix("instruction limit reached") == true)
    lua.instructionLimit(1_000_000)
    let second = #expect(throws: LuaError.self) { try lua.run("string.rep('x', 1 << 23)") }
    #expect(second?.kind == .memory)
    lua.instructionLimit(nil)
    lua.timeLimit(0.02)
    let third = #expect(throws: LuaError.self) { try lua.run("while true do end") }
    #expect(third?.message.hasSuffix("time limit reached") == true)
  }

  // MARK: Interruption

  /// Runs code that calls `started`, upon which another thread interrupts it.
  private func interrupt(_ code: String, in lua: LuaState) -> LuaError? {
    let interrupter = lua.interrupter
    lua.register("started") { () -> Void in
      Thread.detachNewThread { interrupter.interrupt() }
    }
    return #expect(throws: LuaError.self) { try lua.run(code, name: "=s") }
  }

  @Test(arguments: [
    "started() while true do end",
    "started() while true do pcall(function() while true do end end) end",
    "started() coroutine.wrap(function() while true do end end)()",
    "coroutine.wrap(function() started() while true do pcall(error) end end)()",
    "local function f() while true do end end started() while true do xpcall(f, f) end",
    "started() string.find(('a'):rep(60), ('a?'):rep(60) .. ('a'):rep(60) .. 'b')",
    "started() table.move({}, 1, math.maxinteger - 1, 2)",
  ])
  func `from another thread`(_ code: String) throws {
    for lua in [try LuaState(interruptible: true), try LuaState(timeLimit: 600)] {
      let error = interrupt(code, in: lua)
      #expect(error?.kind == .interrupted)
      #expect(error?.message.hasSuffix("interrupted!") == true)
      // It was for that call only.
      #expect(try lua.evaluate("return 7", as: Int.self) == 7)
    }
  }

  @Test func `it lasts until the outermost call returns`() throws {
    let lua = try LuaState(interruptible: true)
    lua.register("interrupt") { [interrupter = lua.interrupter] () -> Void in
      interrupter.interrupt()
    }
    lua.register("swallow") { (f: LuaFunction) -> Bool in (try? f(as: Int.self)) != nil }
    lua[global: "n"] = 0
    let error = #expect(throws: LuaError.self) {
      try lua.run("swallow(function() interrupt() while true do end end) n = n + 1")
    }
    #expect(error?.kind == .interrupted)
    #expect(lua[global: "n"] == 0)
    try lua.run("n = n + 1")
    #expect(lua[global: "n"] == 1)
  }

  @Test func `while nothing runs it is for the next call`() throws {
    let lua = try LuaState(interruptible: true)
    lua.interrupt()
    let error = #expect(throws: LuaError.self) { try lua.run("while true do end") }
    #expect(error?.kind == .interrupted)
    #expect(try lua.evaluate("return 7", as: Int.self) == 7)
  }

  @Test func `the interrupter may live longer than its state`() throws {
    var lua: LuaState? = try LuaState(interruptible: true)
    let interrupter = try #require(lua).interrupter
    lua = nil
    interrupter.interrupt()
  }

  @Test func `coroutines outlive a limit`() throws {
    let lua = try LuaState(instructionLimit: 10_000)
    try lua.run(
      """
      co = coroutine.wrap(function()
        for i = 1, 1e9 do if i % 100 == 0 then coroutine.yield(i) end end
      end)
      """)
    #expect(try lua.evaluate("return co()", as: Int.self) == 100)
    #expect(throws: LuaError.self) { try lua.run("while true do end") }
    lua.instructionLimit(nil)
    #expect(try lua.evaluate("return co()", as: Int.self) == 200)
  }
}
