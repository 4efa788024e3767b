import Foundation
import Glibc
import MilongaTestSupport
import Testing

/// Ctrl-C while the program waits outside of the dispatcher. Each script makes what it waits for
/// such that nothing but the signal ends the wait.
@Suite("Ctrl-C during a wait")
struct InterruptTests {
  /// Something that waits for ever.
  struct Wait: CustomTestStringConvertible {
    let name: String
    let code: String
    var testDescription: String { name }

    init(_ name: String, _ code: String) {
      self.name = name
      self.code = code
    }
  }

  /// A connection whose other end says nothing, and one that takes nothing more.
  private static let pair = """
    local l = assert(socket.bind('127.0.0.1', 0)) local port = select(2, l:getsockname())
    local a = assert(socket.connect('127.0.0.1', port)) local b = assert(l:accept())
    """

  static let waits = [
    Wait("sleep", "wait(socket.sleep, 1000)"),
    Wait("accept", "local l = socket.bind('127.0.0.1', 0) wait(l.accept, l)"),
    Wait("receive", pair + " wait(a.receive, a)"),
    Wait("send", pair + " wait(a.send, a, ('x'):rep(1e8))"),
    Wait("select", pair + " wait(socket.select, {a}, {})"),
    Wait("select without sockets", "wait(socket.select, nil, nil)"),
    Wait("receivefrom", "local u = socket.udp() u:setsockname('*', 0) wait(u.receivefrom, u)"),
    Wait("in a coroutine", pair + " wait(coroutine.wrap(a.receive), a)"),
    Wait(
      "a call of tango",
      """
      local s = socket.bind('127.0.0.1', 0)
      local tango = require 'tango'
      local con = tango.client.socket.connect{address = '127.0.0.1', port = select(2, s:getsockname())}
      wait(con.f)
      """),
    Wait(
      "a call of Lua RPC",
      """
      local s = socket.bind('127.0.0.1', 0)
      local con = require 'rpc'.newclient('127.0.0.1', (select(2, s:getsockname())))
      wait(con.call, con, 'f')
      """),
    Wait(
      "a task queue",
      """
      local xpio = require 'xpio'
      local a, b = xpio.socketpair('unix', 'stream')
      local q = xpio.tqueue()
      a:when_read({_queue = q})
      wait(q.wait, q)
      """),
    Wait(
      "steps of Copas",
      """
      local copas = require 'copas'
      copas.addthread(function() copas.pause(1000) end)
      wait(function() while true do copas.step() end end)
      """),
  ]

  @Test("ends the wait at once", arguments: waits)
  func interrupted(_ wait: Wait) throws {
    let place = try Workplace()
    let process = try start(place, wait)
    try awaitSleep(of: process)
    kill(process, SIGINT)
    #expect(try waitForEnd(of: process) == 0)
    let output = try place.read("stdout")
    #expect(output.hasPrefix("ready\nfalse\t"), "\(output)")
    #expect(output.hasSuffix("interrupted!\nand on\n"), "\(output)")
  }

  @Test("is an error that nobody has to catch")
  func uncaught() throws {
    let place = try Workplace()
    let code = "io.stdout:setvbuf('no') print('ready') require 'socket'.sleep(1000)"
    let process = try place.start(.milonga, ["-e", code])
    while try place.read("stdout").isEmpty { usleep(1000) }
    try awaitSleep(of: process)
    kill(process, SIGINT)
    #expect(try waitForEnd(of: process) == 1)
    #expect(try place.read("stderr").contains("interrupted!\nstack traceback:\n"))
  }

  @Test("A signal that wants nothing else leaves the wait alone")
  func otherSignals() throws {
    let place = try Workplace()
    let process = try start(place, Wait("", "wait(socket.sleep, 0.3)"))
    try awaitSleep(of: process)
    for _ in 1...10 {
      kill(process, SIGWINCH)
      usleep(1000)
    }
    #expect(try waitForEnd(of: process) == 0)
    #expect(try place.read("stdout") == "ready\ntrue\nand on\n")
  }

  @Test("At the prompt, the statement ends")
  func prompt() throws {
    let terminal = try Terminal(.milonga)
    try terminal.expect("> ")
    for _ in 1...2 {
      terminal.type("require 'socket'.sleep(print('go') or 1000)\n")
      try terminal.expect("\ngo\n")
      usleep(50_000)
      terminal.type("\u{3}")
      try terminal.expect("interrupted!\nstack traceback:\n")
      try terminal.expect("\n> ")
    }
    terminal.type("\u{4}")
    #expect(try terminal.end() == 0)
  }

  private func start(_ place: Workplace, _ wait: Wait) throws -> pid_t {
    let code = """
      io.stdout:setvbuf('no')
      local socket = require 'socket'
      local function wait(...) print('ready') print(pcall(...)) print('and on') end
      \(wait.code)
      """
    let process = try place.start(.milonga, ["-e", code])
    while try !place.read("stdout").hasPrefix("ready\n") { usleep(1000) }
    return process
  }

  /// Waits until the process does nothing but wait, as the system says of its main thread.
  private func awaitSleep(of process: pid_t) throws {
    var seen = 0
    let deadline = Date(timeIntervalSinceNow: 60)
    while seen < 3, Date() < deadline {
      let status = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
      let state = status.split(separator: ")").last?.split(separator: " ").first
      seen = state == "S" ? seen + 1 : 0
      usleep(2000)
    }
  }
}
