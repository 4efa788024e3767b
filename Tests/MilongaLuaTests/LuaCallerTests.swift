import MilongaLua
import Testing

/// What Swift calls in Lua runs on the coroutine that has called Swift.
@Suite("Callers")
struct LuaCallerTests {
  /// A state with the Lua function `call(f)`, which is written in Swift.
  private func makeState() throws -> LuaState {
    let lua = try LuaState()
    lua.register("call") { (function: LuaFunction) throws -> LuaValue in try function() }
    return lua
  }

  @Test func `a function that Swift calls runs on its caller's coroutine`() throws {
    let lua = try makeState()
    let isSame = try lua.evaluate(
      """
      local co = coroutine.wrap(function()
        local me, other = coroutine.running(), nil
        call(function() other = coroutine.running() end)
        return me == other
      end)
      return co()
      """, as: Bool.self)
    #expect(isSame)
  }

  @Test func `so do the metamethods of tables that Swift looks into`() throws {
    let lua = try LuaState()
    lua.register("field") { (table: LuaTable) throws -> LuaValue in try table.get("x") }
    lua.register("set") { (table: LuaTable) throws in try table.set("x", to: 1) }
    let found = try lua.evaluate(
      """
      local found = {}
      local meta = {
        __index = function() found[1] = coroutine.running() return 5 end,
        __newindex = function() found[2] = coroutine.running() end,
      }
      local me = coroutine.create(function()
        assert(field(setmetatable({}, meta)) == 5)
        set(setmetatable({}, meta))
      end)
      assert(coroutine.resume(me))
      return found[1] == me and found[2] == me
      """, as: Bool.self)
    #expect(found)
  }

  @Test func `what the main program calls runs on the main thread`() throws {
    let lua = try makeState()
    #expect(
      try lua.evaluate(
        "local other; call(function() _, other = coroutine.running() end) return other",
        as: Bool.self))
    #expect(lua.call.count == 0)
  }

  @Test func `a state goes on after a function failed on a coroutine`() throws {
    let lua = try makeState()
    let message = try lua.evaluate(
      """
      local co = coroutine.wrap(function() return pcall(call, function() error('failed', 0) end) end)
      return select(2, co())
      """, as: String.self)
    #expect(message.contains("failed"))
    #expect(lua.call.count == 0)
    #expect(try lua.evaluate("return call(function() return 7 end)", as: Int.self) == 7)
  }

  @Test func `nested coroutines end in Lua's error and not in a signal`() throws {
    let lua = try makeState()
    let (message, depth): (String, Int) = try overflow(
      lua,
      """
      local function nest(level)
        depth = level
        return coroutine.wrap(function()
          return call(function() return nest(level + 1) end)
        end)()
      end
      """)
    #expect(message.contains("C stack overflow"))
    #expect(depth > 25)
    #expect(try lua.evaluate("return call(function() return 7 end)", as: Int.self) == 7)
  }

  @Test func `nested calls without coroutines do, too`() throws {
    let lua = try makeState()
    let (message, depth): (String, Int) = try overflow(
      lua,
      """
      local function nest(level)
        depth = level
        return call(function() return nest(level + 1) end)
      end
      """)
    #expect(message.contains("C stack overflow"))
    #expect(depth > 50)
  }

  private func overflow(_ lua: LuaState, _ nest: String) throws -> (String, Int) {
    let message = try lua.evaluate(
      "depth = 0 \(nest) return tostring(select(2, pcall(nest, 1)))", as: String.self)
    return (message, lua[global: "depth"] ?? 0)
  }

  @Test func `a yield under a Swift function is Lua's error`() throws {
    let lua = try makeState()
    let message = try lua.evaluate(
      """
      local co = coroutine.wrap(function() return select(2, pcall(call, coroutine.yield)) end)
      return co()
      """, as: String.self)
    #expect(message.contains("attempt to yield across a C-call boundary"))
  }

  @Test func `what Swift keeps is not in Lua's registry`() throws {
    let lua = try makeState()
    let kept = try lua.evaluate("return function() return 3 end", as: LuaFunction.self)
    try lua.run(
      "local registry = debug.getregistry() "
        + "for key in pairs(registry) do if key ~= 1 and key ~= 2 then registry[key] = nil end end "
        + "collectgarbage() collectgarbage()")
    #expect(try kept() as Int == 3)
    #expect(try lua.evaluate("return call(function() return 7 end)", as: Int.self) == 7)
  }
}
