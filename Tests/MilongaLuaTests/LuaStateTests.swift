import MilongaLua
import Testing

@Suite("Lua state")
struct LuaStateTests {
  /// The documentation's first example.
  @Test func embedsLuaInAFewLines() throws {
    let lua = try LuaState()
    lua.register("add") { (a: Int, b: Int) in a + b }
    let sum = try lua.evaluate("return add(40, 2)", as: Int.self)
    #expect(sum == 42)
  }

  @Test func convertsResults() throws {
    let lua = try LuaState()
    #expect(try lua.evaluate("return 1.5", as: Double.self) == 1.5)
    #expect(try lua.evaluate("return 'caf\\u{e9}'", as: String.self) == "café")
    #expect(try lua.evaluate("return {1, 2, 3}", as: [Int].self) == [1, 2, 3])
    #expect(try lua.evaluate("return {a = 1, b = 2}", as: [String: Int].self) == ["a": 1, "b": 2])
    #expect(try lua.evaluate("return nil", as: Int?.self) == nil)
    #expect(try lua.evaluate("return 3.0", as: Int.self) == 3)
  }

  @Test func refusesResultsOfAnotherType() throws {
    let lua = try LuaState()
    #expect(throws: LuaError(.conversion, "integer expected, got string")) {
      try lua.evaluate("return 'x'", as: Int.self)
    }
    #expect(throws: LuaError(.conversion, "integer expected, got number")) {
      try lua.evaluate("return 300", as: UInt8.self)
    }
  }

  @Test func reportsErrorsWithTraceback() throws {
    let lua = try LuaState()
    let error = #expect(throws: LuaError.self) {
      try lua.run("local function f() error('boom') end\nf()", name: "=script")
    }
    #expect(error?.kind == .runtime)
    #expect(error?.message == "script:1: boom")
    #expect(error?.traceback?.hasPrefix("stack traceback:\n") == true)
    #expect(error?.traceback?.contains("script:2: in main chunk") == true)
  }

  @Test func reportsSyntaxErrors() throws {
    let lua = try LuaState()
    let error = #expect(throws: LuaError.self) { try lua.run("x =", name: "=script") }
    #expect(error?.kind == .syntax)
    #expect(error?.message == "script:1: unexpected symbol near <eof>")
  }

  @Test func argumentErrorsNameFunctionAndTypes() throws {
    let lua = try LuaState()
    lua.register("add") { (a: Int, b: Int) in a + b }
    let missing = #expect(throws: LuaError.self) { try lua.run("add(1)", name: "=s") }
    #expect(missing?.message == "s:1: bad argument #2 to 'add' (integer expected, got no value)")
    let wrong = #expect(throws: LuaError.self) { try lua.run("add({}, 1)", name: "=s") }
    #expect(wrong?.message == "s:1: bad argument #1 to 'add' (integer expected, got table)")
  }

  struct Refusal: Error, CustomStringConvertible { var description: String { "not today" } }

  @Test func swiftErrorsAreRaisedInLua() throws {
    let lua = try LuaState()
    lua.register("refuse") { () throws -> Void in throw Refusal() }
    let text = try lua.evaluate(
      "local ok, e = pcall(refuse) return tostring(ok) .. ' ' .. e", as: String.self, name: "=s")
    #expect(text == "false not today")
    let error = #expect(throws: LuaError.self) { try lua.run("refuse()", name: "=s") }
    #expect(error?.message == "s:1: not today")
  }

  @Test func functionsGiveSeveralResults() throws {
    let lua = try LuaState()
    lua.register("divide") { (a: Int, b: Int) in (a / b, a % b) }
    #expect(try lua.evaluate("local q, r = divide(17, 5) return q * 100 + r", as: Int.self) == 302)
  }

  @Test func globalsCanBeReadAndWritten() throws {
    let lua = try LuaState()
    lua[global: "limit"] = 7
    try lua.run("limit = limit * 2")
    #expect(lua[global: "limit"] == 14)
    #expect((lua[global: "missing"] as Int?) == nil)
  }

  @Test func tablesAndFunctionsAreHeldBySwift() throws {
    let lua = try LuaState()
    let table: LuaTable = try lua.evaluate("return {n = 1, f = function(x) return x * 2 end}")
    try table.set("n", to: 5)
    #expect(try table.get("n", as: Int.self) == 5)
    let double: LuaFunction = try table.get("f")
    #expect(try double(21, as: Int.self) == 42)
  }

  @Test func metamethodErrorsComeBackAsSwiftErrors() throws {
    let lua = try LuaState()
    let table: LuaTable = try lua.evaluate(
      "return setmetatable({}, {__index = function(_, k) error('no ' .. k, 0) end})")
    let error = #expect(throws: LuaError.self) { try table.get("field", as: Int.self) }
    #expect(error?.message == "no field")
  }

  @Test func everyKindOfValueSurvivesTheRoundTrip() throws {
    let lua = try LuaState()
    lua.register("identity") { (value: LuaValue) in value }
    #expect(
      try lua.evaluate(
        """
        local t, f, co = {}, function() end, coroutine.create(print)
        for _, v in ipairs {true, false, 1, 1.5, 'x\\0y', t, f, co, io.stdout} do
          if identity(v) ~= v or math.type(identity(v)) ~= math.type(v) then return tostring(v) end
        end
        return tostring(identity(nil))
        """, as: String.self) == "nil")
  }

  @Test func everythingIsFreedWithTheState() throws {
    final class Token {
      let onDeinit: () -> Void
      init(_ onDeinit: @escaping () -> Void) { self.onDeinit = onDeinit }
      deinit { onDeinit() }
    }
    nonisolated(unsafe) var freed = 0
    do {
      let lua = try LuaState()
      let token = Token { freed += 1 }
      lua.register("use") { () -> Bool in token === token }
      #expect(try lua.evaluate("return use()", as: Bool.self))
    }
    #expect(freed == 1)
  }

  @Test func functionsCannotBeCalledOnceTheStateCloses() throws {
    // The finaliser below runs in lua_close, after the box of `note` was finalised: an object made
    // earlier is finalised later.
    do {
      let lua = try LuaState()
      try lua.run("setmetatable({}, {__gc = function() note() end})")
      lua.register("note") { () -> Int in 1 }
    }
  }
}
