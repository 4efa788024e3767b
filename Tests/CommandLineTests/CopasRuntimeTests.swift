import Foundation
import MilongaTestSupport
import Testing

/// `milonga --copas`, and milonga under the name `copas`.
@Suite("The Copas runtime")
struct CopasRuntimeTests {
  @Test("A script runs in a Copas thread, and the scheduler starts by itself")
  func script() throws {
    let place = try Workplace()
    try place.write(
      """
      local count = 0
      copas.timer.new {
        delay = 0.01,
        recurring = true,
        callback = function(self)
          count = count + 1
          print(arg[0], arg[1], count)
          if count >= 3 then self:cancel() end
        end
      }
      """, to: "timer.lua")
    let outcome = try place.run(.milonga, ["--copas", "timer.lua", "x"])
    #expect(outcome.status == 0)
    #expect(outcome.output == (1...3).map { "timer.lua\tx\t\($0)\n" }.joined())
    #expect(outcome.errors == "")
  }

  @Test("The manual's first line finds it under the name copas")
  func name() throws {
    let place = try Workplace()
    try FileManager.default.createSymbolicLink(
      atPath: place.path + "/copas", withDestinationPath: Program.milonga.path)
    try place.write("#!/usr/bin/env copas\nprint(copas.running, ...)\n", to: "text")
    // Another process writes what is executed: programs that other tests start at this moment
    // inherit what is open here, and a file that is open for writing is "busy".
    let outcome = try place.run(
      .shell, ["-c", "cp text hello && chmod +x hello && PATH=$PWD:$PATH ./hello there"])
    #expect(outcome.output == "true\tthere\n")
    #expect(outcome.status == 0, "\(outcome)")
  }

  @Test("Options run in their order, and may wait")
  func options() throws {
    let place = try Workplace()
    let outcome = try place.run(
      .milonga,
      [
        "--copas", "-e", "copas.pause(0.01) print(1)", "-l", "s=socket", "-e",
        "print(s == require 'socket')",
      ])
    #expect(outcome.output == "1\ntrue\n")
    #expect(outcome.status == 0)
  }

  @Test("An error in any thread is reported and ends the process")
  func errors() throws {
    let place = try Workplace()
    let code = "copas.addthread(function() error 'boom' end) copas.pause(5) print 'not reached'"
    let outcome = try place.run(.milonga, ["--copas", "-e", code])
    #expect(outcome.status == 1)
    #expect(outcome.output == "")
    #expect(outcome.errors.hasPrefix("lua: (command line):1: boom (coroutine: thread: "))
    #expect(outcome.errors.contains("stack traceback:\n"))
    #expect(try place.run(.milonga, ["--copas", "-e", "no code"]).status == 1)
    #expect(try place.run(.milonga, ["--copas", "no such file"]).status == 1)
  }

  @Test("SIGTERM lets those clean up who wait for the exit, and ends the rest")
  func termination() throws {
    let place = try Workplace()
    let code = """
      copas.addthread(function() while true do copas.pause(0.01) end end)
      copas.addthread(function()
        copas.waitforexit()
        copas.pause(0.05)
        print "clean"
      end)
      copas.addthread(function() os.execute("kill -TERM $PPID") end)
      """
    let outcome = try place.run(.milonga, ["--copas", "-e", code])
    #expect(outcome.output == "clean\n")
    #expect(outcome.status == 0)
  }

  @Test("A second signal ends the process at once")
  func secondSignal() throws {
    let place = try Workplace()
    let code = """
      copas.addthread(function()
        copas.waitforexit()
        os.execute("kill -TERM $PPID")
        copas.pause(60)
      end)
      copas.addthread(function() os.execute("kill -TERM $PPID") end)
      """
    let outcome = try place.run(.milonga, ["--copas", "-e", code])
    #expect(outcome.status == -SIGTERM)
  }
}
