import MilongaLua
import MilongaTestSupport
import Testing

/// Where Lua's objects lie: small ones in slabs of their size, large ones in malloc's memory.
@Suite("Lua memory")
struct LuaMemoryTests {
  /// Strings, tables and userdata of all sizes, made and dropped in any order, keep what is in
  /// them.
  @Test func objectsKeepTheirContents() throws {
    let lua = try LuaState()
    var generator = SeededGenerator(for: "objectsKeepTheirContents")
    let seed = generator.below(.max)
    lua.register("seed") { () -> Int in seed }
    let wrong = try lua.evaluate(
      """
      math.randomseed(seed())
      local kept, wrong = {}, 0
      local function text(i, n) return ('%d:'):format(i):rep(n):sub(1, n) end
      for i = 1, 60000 do
        local place = math.random(2000)
        local old = kept[place]
        if old then
          if old.text ~= text(old.made, #old.text) then wrong = wrong + 1 end
          for k = 1, old.count do if old[k] ~= k * old.made then wrong = wrong + 1 end end
        end
        -- Around every border between sizes; now and then far beyond.
        local n = math.random(10) == 1 and math.random(5000) or math.random(1100)
        local new = {made = i, text = text(i, n), count = math.random(0, 80)}
        -- Tables move from size to size while they grow.
        for k = 1, new.count do new[k] = k * i end
        kept[place] = math.random(5) > 1 and new or nil
        if i % 10000 == 0 then collectgarbage() end
      end
      return wrong
      """, as: Int.self)
    #expect(wrong == 0)
  }

  @Test func whatIsDroppedIsNotInUseAnyMore() throws {
    let lua = try LuaState()
    try lua.run("collectgarbage() collectgarbage()")
    let before = lua.memoryInUse
    try lua.run("t = {} for i = 1, 20000 do t[i] = {('x'):rep(i % 1200)} end")
    #expect(lua.memoryInUse > before + 10_000_000)
    try lua.run("t = nil collectgarbage() collectgarbage()")
    #expect(lua.memoryInUse < before + 10_000)
  }
}
