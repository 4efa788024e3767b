import Foundation
import Glibc
import MilongaTestSupport
import Testing

/// SIGTERM and SIGINT find a turn that does not come back to the dispatcher.
@Suite("A turn that does not end")
struct TerminationTests {
  /// What the thread `stuck` does.
  static let turns = [
    "local s = require 'socket' s.sleep(1000)",
    "while true do end",
    "while true do pcall(error) end",
    "string.rep('a', 40):find(('.-'):rep(40) .. 'b')",
    "local f = io.popen('exec sleep 20') repeat until f:read(1)",
    "coroutine.wrap(function() while true do end end)()",
  ]

  @Test("ends the process as the signal would", arguments: turns, [SIGTERM, SIGINT])
  func stuck(_ turn: String, _ signal: Int32) throws {
    let (status, errors) = try run("copas.exittimeout = 0.1", turn, signal)
    #expect(status == -signal, "\(errors)")
    let name = signal == SIGTERM ? "SIGTERM" : "SIGINT"
    #expect(
      errors.hasPrefix("copas: \(name): thread 'stuck' has not come back for 0.1 s"), "\(errors)")
    #expect(errors.contains("stack traceback:\n"), "\(errors)")
    #expect(errors.contains("in function <(command line):"), "\(errors)")
  }

  @Test("A turn that ends in time, and others as long, do no harm")
  func inTime() throws {
    let setting = """
      copas.exittimeout = 1
      copas.addthread(function()
        copas.waitforexit()
        for _ = 1, 4 do os.execute 'sleep 0.4' copas.pause(1) end
        print 'clean'
      end)
      """
    let (status, errors) = try run(
      setting, "os.execute 'sleep 0.4'", SIGTERM, output: "ready\nclean\n")
    #expect(status == 0)
    #expect(errors == "")
  }

  @Test("0 lets it take its time")
  func never() throws {
    let turn = "os.execute 'sleep 0.5' print 'came back'"
    let (status, errors) = try run(
      "copas.exittimeout = 0", turn, SIGTERM, output: "ready\ncame back\n")
    #expect(status == 0)
    #expect(errors == "")
  }

  /// Runs a thread that says `ready` before its turn; the signal comes then.
  private func run(
    _ setting: String, _ turn: String, _ signal: Int32, output: String? = nil
  ) throws -> (status: Int32, errors: String) {
    let place = try Workplace()
    let code = """
      io.stdout:setvbuf('no')
      local copas = require 'copas'
      \(setting)
      copas.addnamedthread('stuck', function()
        print 'ready'
        \(turn)
      end)
      copas.loop()
      """
    let process = try place.start(.milonga, ["-e", code])
    while try !place.read("stdout").hasPrefix("ready\n") { usleep(1000) }
    usleep(20_000)
    kill(process, signal)
    let status = try waitForEnd(of: process)
    if let output { #expect(try place.read("stdout") == output) }
    return (status, try place.read("stderr"))
  }
}
