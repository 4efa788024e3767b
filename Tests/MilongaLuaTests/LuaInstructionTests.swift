import MilongaLua
import MilongaTestSupport
import Testing

/// A limit of N permits N instructions.
@Suite("Instruction limits")
struct LuaInstructionTests {
  /// How many instructions a script needs; nil for more than a million.
  private func instructions(_ code: String) throws -> Int? {
    func ends(within limit: Int) throws -> Bool {
      let lua = try LuaState(instructionLimit: limit)
      do {
        try lua.run(code)
        return true
      } catch {
        #expect(error.kind == .limit, "\(error)")
        return false
      }
    }
    var (least, most) = (0, 1_000_000)
    guard try ends(within: most) else { return nil }
    while least < most {
      let middle = (least + most) / 2
      if try ends(within: middle) { most = middle } else { least = middle + 1 }
    }
    return least
  }

  /// Each turn of a loop costs the same, wherever the loop runs.
  @Test(arguments: [
    ("for i = 1, N do end", 1),
    ("for i = 1, N do local a = i + 1 end", 2),
    ("local function f() for i = 1, N do end end pcall(f)", 1),
    ("coroutine.wrap(function() for i = 1, N do end end)()", 1),
    ("local c = coroutine.wrap(function() for i = 1, N do end end) c()", 1),
    ("xpcall(error, function() for i = 1, N do end end)", 1),
    ("local t <close> = setmetatable({}, {__close = function() for i = 1, N do end end})", 1),
    ("coroutine.wrap(coroutine.wrap(function() for i = 1, N do end end))()", 1),
    ("table.move({}, 1, N, 2)", 1),
    ("string.find(('a'):rep(16 * N), 'b', 1, true)", 2),
  ])
  func `each turn costs the same`(_ code: String, _ cost: Int) throws {
    func needed(_ turns: Int) throws -> Int {
      try #require(try instructions(code.replacing("N", with: "\(turns)")))
    }
    let few = try needed(100)
    for turns in [101, 107, 1100, 20100] {
      #expect(try needed(turns) - few == (turns - 100) * cost, "\(turns)")
    }
  }

  /// Many coroutines that run a little each count as one that runs long.
  @Test func `coroutines are counted together`() throws {
    func needed(_ coroutines: Int) throws -> Int {
      try #require(
        try instructions(
          "for i = 1, \(coroutines) do coroutine.wrap(function() for k = 1, 10 do end end)() end"))
    }
    let few = try needed(10)
    let cost = (try needed(20) - few) / 10
    #expect(cost > 10)
    #expect(try needed(1000) - few == 990 * cost)
  }

  @Test func `a limit of nothing permits nothing`() throws {
    let lua = try LuaState(instructionLimit: 0)
    let error = #expect(throws: LuaError.self) { try lua.run("x = 1") }
    #expect(error?.kind == .limit)
    #expect((lua[global: "x"] as Int?) == nil)
    // Nor may it be called what counts and is no Lua.
    lua.instructionLimit(nil)
    let find: LuaFunction = try lua.evaluate("return string.rep")
    lua.instructionLimit(0)
    let refused = #expect(throws: LuaError.self) { try find("x", 3, as: String.self) }
    #expect(refused?.kind == .limit)
  }

  @Test func `the limit is for all runs together`() throws {
    let lua = try LuaState(instructionLimit: 10_000)
    var runs = 0
    let error = #expect(throws: LuaError.self) {
      while true {
        try lua.run("for i = 1, 1000 do end")
        runs += 1
      }
    }
    #expect(error?.kind == .limit)
    #expect(runs == 9)
    lua.instructionLimit(10_000)
    try lua.run("for i = 1, 1000 do end")
  }

  @Test func `what calls back is counted`() throws {
    let lua = try LuaState(instructionLimit: 100_000)
    lua.register("call") { (f: LuaFunction) throws -> Int in try f(as: Int.self) }
    lua.register("swallow") { (f: LuaFunction) -> Bool in (try? f(as: Int.self)) != nil }
    #expect(try lua.evaluate("return call(function() return 7 end)", as: Int.self) == 7)
    let error = #expect(throws: LuaError.self) {
      try lua.run("while true do swallow(function() while true do end end) end")
    }
    #expect(error?.kind == .limit)
  }

  @Test func `a pcall that is all there is catches nothing`() throws {
    let lua = try LuaState(instructionLimit: 10_000)
    let pcall: LuaFunction = try lua.evaluate("return pcall")
    let loop: LuaFunction = try lua.evaluate("return function() while true do end end")
    let error = #expect(throws: LuaError.self) { try pcall(loop, as: Bool.self) }
    #expect(error?.kind == .limit)
    #expect(error?.message == "instruction limit reached")
    lua.instructionLimit(10_000)
    let harmless: LuaFunction = try lua.evaluate("return os.clock")
    #expect(try pcall(harmless, as: Bool.self))
  }

  /// A state is not within the limits of one whose code has called the program.
  @Test func `states do not count for each other`() throws {
    let outer = try LuaState(instructionLimit: 10_000)
    let inner = try LuaState()
    let other = try LuaState(instructionLimit: 100_000)
    outer.register("count") { (n: Int) throws -> Int in
      try inner.run("setmetatable({}, {__gc = function() end}) collectgarbage()")
      try other.run("for i = 1, 40000 do end")
      return try inner.evaluate("local n = 0 for i = 1, \(n) do n = n + 1 end return n")
    }
    #expect(try outer.evaluate("return count(1000000)", as: Int.self) == 1_000_000)
    let error = #expect(throws: LuaError.self) { try outer.run("count(1) while true do end") }
    #expect(error?.kind == .limit)
    // Its own limit has held all the time.
    try other.run("for i = 1, 19000 do end")
    #expect(throws: LuaError.self) { try other.run("for i = 1, 1000 do end") }
  }

  @Test(arguments: [
    ("setmetatable({}, {__gc = function() end})", "a metatable with __gc is refused within limits"),
    ("setmetatable({}, {__gc = false})", "a metatable with __gc is refused within limits"),
    ("getmetatable(io.stdout)", "a metatable with __gc is out of reach within limits"),
    ("collectgarbage()", "collectgarbage('collect') is refused within limits"),
    ("collectgarbage('stop')", "collectgarbage('stop') is refused within limits"),
    ("debug.sethook()", "debug.sethook is refused within limits"),
    ("debug.sethook(coroutine.create(print))", "debug.sethook is refused within limits"),
    ("debug.setmetatable({}, {__gc = print})", "debug.setmetatable is refused within limits"),
    ("debug.getregistry()", "debug.getregistry is refused within limits"),
    (
      "assert(load(string.dump(function() end)))",
      "attempt to load a binary chunk (mode is 't')"
    ),
    (
      "assert(load(function() return string.dump(print) end))", "unable to dump given function"
    ),
  ])
  func `what would lift a limit is refused`(_ code: String, _ message: String) throws {
    let lua = try LuaState(instructionLimit: 100_000)
    let error = #expect(throws: LuaError.self) { try lua.run(code, name: "=s") }
    #expect(error?.message.hasSuffix(message) == true, "\(String(describing: error))")
    #expect(error?.kind == .runtime)
    // Without a limit it is as always.
    lua.instructionLimit(nil)
    if !code.contains("dump(print)") { try lua.run(code) }
  }

  @Test func `what harms nobody is there`() throws {
    let lua = try LuaState(instructionLimit: 100_000)
    try lua.run(
      """
      assert(collectgarbage('count') > 0)
      assert(getmetatable('').__index == string)
      assert(debug.traceback('x'):find('stack traceback', 1, true))
      assert(getmetatable(setmetatable({}, {__index = string})).__index.rep('x', 2) == 'xx')
      assert(load('return ...', 'name', 't', {})(7) == 7)
      assert(select(2, xpcall(error, function(e) return e .. '!' end, 'x')) == 'x!')
      """)
  }
}
