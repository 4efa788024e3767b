import Foundation
import Glibc
import MilongaTestSupport
import Testing

@Suite("The tutorial")
struct TutorialTests {
  private let folder = LuaHost.package + "/Examples/tango"

  @Test(arguments: [LuaHost.milonga, .module])
  func `plays to its end`(_ host: LuaHost) throws {
    let outcome = try host.run([folder + "/tutorial.lua"], in: Workplace())
    #expect(outcome.status == 0)
    #expect(outcome.errors == "")
    for line in [
      "> con.greet('Hello', 'Horst')\n      the server prints:  Hello\tHorst",
      "> con.print('I', 'call', 'print', 'myself')\n"
        + "      the server prints:  I\tcall\tprint\tmyself",
      "> con.math.sqrt(4)\n      the client gets:  2.0",
      "> con.os.execute('sleep 1')",
      "the client gets:  {\"Anna\", \"Bo\"}\n",
      "the client gets:  {\"Anna\", \"Bo\", \"Horst\"}\n",
      "> p = tango.ref(con.io.popen, 'ls')\n    > p:read('l')\n      the client gets:  \"std",
      "> con.sqrt(4)\n      the client gets:  2.0",
      "the client gets an error:  tango server error \"os.execute\": no such variable",
      "the client gets an error:  tango server error \"friends\": no read_access",
      "the client gets an error:  tango server error \"friends\": no write_access",
      "serialize = cjson.encode", "\nThat was it.",
    ] {
      #expect(outcome.output.contains(line), "\(line)")
    }
    try checkServerIsGone(outcome)
  }

  @Test func `two at a time`() async throws {
    let path = folder + "/tutorial.lua"
    async let first = LuaHost.milonga.run([path], in: Workplace())
    async let second = LuaHost.milonga.run([path], in: Workplace())
    for outcome in try await [first, second] { #expect(outcome.status == 0, "\(outcome)") }
  }

  @Test(arguments: [
    ("error 'no'", "the server has ended"),
    ("print 'what?' require 'copas'.sleep(60)", "the server says: what?"),
    ("print 'everything on port 1' print 'ready' while true do end", "connection refused"),
  ])
  func `a step fails`(_ server: String, _ reason: String) throws {
    let place = try Workplace()
    let text = try String(contentsOfFile: folder + "/tutorial.lua", encoding: .utf8)
    try place.write(text, to: "tutorial.lua")
    try place.write(server, to: "greet-server.lua")
    let outcome = try LuaHost.milonga.run(["tutorial.lua"], in: place)
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains("The tutorial failed: "), "\(outcome)")
    #expect(outcome.errors.contains(reason), "\(outcome)")
    try checkServerIsGone(outcome)
  }

  /// The tutorial tells the server's process id, unless the server failed before.
  private func checkServerIsGone(_ outcome: Outcome) throws {
    guard let match = outcome.output.firstMatch(of: /as process (\d+)/) else { return }
    let process = try #require(pid_t(match.1))
    #expect(kill(process, 0) == -1 && errno == ESRCH, "process \(process) still runs")
  }
}
