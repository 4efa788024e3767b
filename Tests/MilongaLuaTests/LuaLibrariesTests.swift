import MilongaLua
import Testing

/// Which of Lua's libraries are there.
@Suite("Lua libraries")
struct LuaLibrariesTests {
  /// The names of global variables, in order.
  private func globals(_ libraries: LuaLibraries) throws -> [String] {
    let lua = try LuaState(libraries: libraries)
    let names = try lua.evaluate(
      """
      local names = '' for name in pairs(_G) do names = names .. name .. ' ' end return names
      """, as: String.self)
    return names.split(separator: " ").map(String.init).sorted()
  }

  private static let base = [
    "_G", "_VERSION", "assert", "collectgarbage", "error", "getmetatable", "ipairs", "load",
    "next", "pairs", "pcall", "print", "rawequal", "rawget", "rawlen", "rawset", "select",
    "setmetatable", "tonumber", "tostring", "type", "warn", "xpcall",
  ]

  @Test func `no library leaves the base`() throws {
    #expect(try globals([]) == Self.base)
    let lua = try LuaState(libraries: [])
    #expect(
      try lua.evaluate("return select('#', pcall(error)) + #tostring(load('return 7')())") == 3)
  }

  @Test func `safe reaches nothing beyond the state`() throws {
    let names = ["coroutine", "math", "os", "string", "table", "utf8"]
    #expect(try globals(.safe) == (Self.base + names).sorted())
    let lua = try LuaState(libraries: .safe)
    let inside = try lua.evaluate(
      """
      local names = {} for name in pairs(os) do names[#names + 1] = name end
      table.sort(names) return table.concat(names, ' ')
      """, as: String.self)
    #expect(inside == "clock date difftime time")
  }

  @Test(arguments: [
    (LuaLibraries.coroutine, "coroutine.wrap(print)"), (.table, "table.concat{}"),
    (.string, "('x'):rep(3)"), (.utf8, "utf8.char(8364)"), (.math, "math.abs(-1)"),
    (.time, "os.time()"), (.os, "os.getenv('HOME')"), (.io, "io.write('') assert(loadfile)"),
    (.package, "require('_G')"), (.debug, "debug.getinfo(1)"),
    (.bytecode, "assert(load('\\27Lua') == nil)"),
  ])
  func `single libraries`(_ library: LuaLibraries, _ code: String) throws {
    try LuaState(libraries: library).run(code)
    // The functions that tell the time are in both.
    guard library != .bytecode, library != .time, library != .os else { return }
    let without = try LuaState(libraries: .all.subtracting(library))
    #expect(throws: LuaError.self) { try without.run(code) }
  }

  @Test func `all is what lua5 has`() throws {
    let names = [
      "coroutine", "debug", "dofile", "io", "loadfile", "math", "os", "package", "require",
      "string", "table", "utf8",
    ]
    #expect(try globals(.all) == (Self.base + names).sorted())
    let lua = try LuaState()
    #expect(try lua.evaluate("return require 'string' == string", as: Bool.self))
    #expect(try lua.evaluate("return load(string.dump(load 'return 7'))()", as: Int.self) == 7)
  }

  @Test(arguments: [LuaLibraries.safe, LuaLibraries.all.subtracting(.bytecode)])
  func `bytecode is not loaded`(_ libraries: LuaLibraries) throws {
    let lua = try LuaState(libraries: libraries)
    let text = try lua.evaluate(
      """
      local code = string.dump(load 'return 7')
      local results = {}
      for _, mode in ipairs {'bt', 'b', 't'} do
        for _, chunk in ipairs {code, function() local piece = code code = nil return piece end} do
          local kept = code
          results[#results + 1] = tostring((load(chunk, 'name', mode)))
          code = kept
        end
      end
      return table.concat(results, ' ')
      """, as: String.self)
    #expect(text == "nil nil nil nil nil nil")
    #expect(try lua.evaluate("return load('return ...', 'x', 'bt', {})(7)", as: Int.self) == 7)
    let refusal = try lua.evaluate("return select(2, load('x = 1', 'x', 'b'))", as: String.self)
    #expect(refusal == "attempt to load a text chunk (mode is 'b')")
  }
}
