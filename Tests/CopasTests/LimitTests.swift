import Copas
import MilongaLua
import MilongaModule
import Testing

/// Threads of Copas in a state with limits.
@Suite("Copas within limits")
struct LimitTests {
  private func state(_ limit: Int) throws -> LuaState {
    let lua = try LuaState(instructionLimit: limit)
    MilongaModules.preload(call: lua.call)
    return lua
  }

  /// All of these go on for ever; what closes their variables does, too.
  @Test(arguments: [
    "while true do end",
    "local x <close> = endless() while true do end",
    "local x <close> = endless() copas.pause(0)",
    "local x <close> = endless() copas.pause(0.05)",
    "while true do copas.pause(0) end",
    "copas.addthread(function() while true do pcall(function() while true do end end) end end)",
    "copas.seterrorhandler(function() while true do end end) error 'x'",
    "copas.seterrorhandler(function() while true do end end) while true do end",
    "copas.timeout(0, function() while true do end end)",
  ])
  func `threads have the limits of their state`(_ code: String) throws {
    let lua = try state(300_000)
    let error = #expect(throws: LuaError.self) {
      try lua.run(
        """
        copas = require 'copas'
        copas.seterrorhandler(function() end, true)
        function endless()
          return setmetatable({}, {__close = function() while true do end end})
        end
        copas(function()
          copas.addthread(function() \(code) end)
          copas.pause(0.01)
          while true do end
        end)
        """)
    }
    #expect(error?.kind == .limit, "\(String(describing: error))")
  }

  @Test func `within its limits all is as always`() throws {
    let lua = try state(1_000_000)
    let turns = try lua.evaluate(
      """
      local copas, turns = require 'copas', 0
      copas(function()
        for i = 1, 3 do
          copas.addthread(function()
            copas.pause(0)
            turns = turns + 1
            copas.pause(0)
            turns = turns + 1
          end)
        end
      end)
      return turns
      """, as: Int.self)
    #expect(turns == 6)
  }
}
