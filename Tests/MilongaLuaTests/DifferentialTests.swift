import Foundation
import MilongaLua
import MilongaTestSupport
import Testing

/// Within limits other functions, which count, stand in the place of Lua's; they return the same.
@Suite("Functions that count")
struct DifferentialTests {
  private static func run(
    _ name: String, in lua: LuaState, seed: Int, count: Int
  ) throws -> [String] {
    let script = try #require(Script.all(in: "Differential").first { $0.name == name })
    lua[global: "SEED"] = seed
    lua[global: "COUNT"] = count
    let code = try String(contentsOfFile: script.path, encoding: .utf8)
    // The bytes that are no UTF-8 are repaired in both.
    return try lua.evaluate(code, as: String.self, name: "=script").components(separatedBy: "\n\0")
  }

  /// Both tell the same of each call.
  private func compare(_ name: String, seed: Int, count: Int) throws {
    let original = try Self.run(name, in: try LuaState(), seed: seed, count: count)
    let limited = try LuaState(instructionLimit: .max / 2)
    let counting = try Self.run(name, in: limited, seed: seed, count: count)
    #expect(original.count == count)
    for (original, counting) in zip(original, counting) where original != counting {
      Issue.record("seed \(seed): \(original)\nwithin limits: \(counting)")
      break
    }
    #expect(counting.count == original.count)
  }

  @Test(arguments: 1...6)
  func `patterns`(_ seed: Int) throws { try compare("patterns", seed: seed, count: 20_000) }

  @Test(arguments: 1...6)
  func `other functions`(_ seed: Int) throws { try compare("libraries", seed: seed, count: 10_000) }

  @Test func `patterns at the limits of Lua's matcher`() throws {
    let code = """
      local results = {}
      local function add(...) results[#results + 1] = tostring(select(2, pcall(string.find, ...))) end
      for _, n in ipairs {10, 31, 32, 33, 66, 67, 98, 99, 100, 197, 198, 199, 200, 201, 250} do
        add(('a'):rep(300), ('(a)'):rep(n))
        add(('a'):rep(300), ('()'):rep(n))
        add(('a'):rep(300), ('a?'):rep(n) .. 'a')
        add(('a'):rep(300), ('a-'):rep(n) .. '$')
        add(('a'):rep(300), ('x*'):rep(n) .. 'a')
        add(('a'):rep(300), ('a'):rep(n) .. '$')
        add(('a'):rep(300), 'a-' .. ('b'):rep(n))
      end
      for _, n in ipairs {1, 15, 16, 17, 255, 256, 1023, 1024, 1025, 5000} do
        local s = ('a'):rep(n)
        add(s .. 'b' .. s, s .. 'b', 1, true) add('x' .. s, s .. 'b', 1, true) add(s, '', n + 1, true)
        add(s .. '\\0b' .. s, '\\0b') add(s .. '%', '%', 1, true)
      end
      return table.concat(results, '\\n')
      """
    let original = try LuaState().evaluate(code, as: String.self)
    #expect(original.contains("pattern too complex"))
    #expect(original.contains("too many captures"))
    #expect(try LuaState(instructionLimit: .max / 2).evaluate(code, as: String.self) == original)
  }
}
