import Copas
import Foundation
import MilongaLua
import MilongaModule
import Testing

/// A host closes a state while other threads work for it, and with everything open.
@Suite struct ClosedStateTests {
  private func closing(_ script: String) throws -> Bool {
    weak var loop: CopasLoop?
    try {
      let lua = try LuaState()
      MilongaModules.preload(call: lua.call)
      try lua.run("copas, socket = require 'copas', require 'socket'")
      try lua.run(script)
      loop = CopasLoop.existing(lua.call)
      #expect(loop != nil)
    }()
    return loop == nil
  }

  @Test func whileNamesAreLookedUp() throws {
    for _ in 0..<50 {
      #expect(
        try closing(
          """
          for _ = 1, 6 do
            copas.addthread(function() copas.connect(socket.tcp(), 'localhost', 1) end)
          end
          copas.step(0)
          """))
    }
  }

  @Test func whileThreadsWait() throws {
    #expect(
      try closing(
        """
        local server = socket.bind('127.0.0.1', 0)
        copas.addserver(server, function(skt) copas.receive(skt) end)
        local client = socket.connect(server:getsockname())
        copas.addthread(function() copas.pause(100) end)
        copas.addthread(function() copas.pauseforever() end)
        copas.addthread(function() copas.lock.new():get() copas.queue.new():pop() end)
        for _ = 1, 5 do copas.step(0) end
        """))
  }

  @Test func whileClientsCallAndLeave() throws {
    for backEnd in ["copas_socket", "ev_socket"] {
      #expect(
        try closing(
          """
          local tango = require 'tango'
          local api = {wait = function() copas.pause(100) end}
          local server, handler = tango.server.\(backEnd).new{port = 0, functab = api}
          if handler then copas.addserver(server, handler) end
          local host, port = server:getsockname()
          for i = 1, 10 do
            local client = socket.connect(host, port)
            client:send '8\\n{"wait"}'
            if i % 2 == 0 then client:close() end
          end
          for _ = 1, 20 do copas.step(0) end
          """))
    }
  }
}
