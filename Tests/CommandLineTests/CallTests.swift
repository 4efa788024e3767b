import Foundation
import Glibc
import MilongaTestSupport
import Testing

/// `milonga call` and `milonga serve`.
@Suite("Calls from the shell")
struct CallTests {
  /// Serves a file, and gives `body` the port.
  private func serving(
    _ text: String, _ options: [String] = [], _ body: (Workplace, String) throws -> Void
  ) throws {
    let home = try Workplace()
    try home.write(text, to: "service.lua")
    let server = try home.start(.milonga, ["serve", "service.lua", "--port", "0"] + options)
    defer {
      // It ends by itself, and orderly, when it is asked to.
      kill(server, SIGTERM)
      #expect((try? waitForEnd(of: server)) == 0)
    }
    let deadline = Date(timeIntervalSinceNow: 60)
    while try !home.read("stdout").hasSuffix("\n"), Date() < deadline { usleep(2000) }
    let line = try home.read("stdout")
    let port = try #require(line.firstMatch(of: /^listening on 127\.0\.0\.1:(\d+)\n/)?.1)
    try body(Workplace(), String(port))
  }

  private let service = """
    return {
      add = function(a, b) return a + b end,
      echo = function(...) return ... end,
      fail = function() error("out of order", 0) end,
      failWith = function() error {code = 7} end,
      friends = {"Anna", "Bo", n = 2},
      pipeline = function() return "remote" end,
      print = print, own = {arg[0], #arg},
    }
    """

  @Test func `arguments and results are Lua literals`() throws {
    try serving(service) { place, port in
      for (words, output) in [
        (["add", "1", "2"], "3\n"), (["add", "-1", "0x10"], "15\n"),
        (["add", "1.5", "2"], "3.5\n"),
        (
          ["echo", "nil", "true", "\"a\\nb\"", "{1,{x='y'}}"],
          "nil\ntrue\n\"a\\nb\"\n{1,{x=\"y\"}}\n"
        ),
        (["echo"], ""), (["friends"], "{\"Anna\",\"Bo\",n=2}\n"),
        (["own"], "{\"service.lua\",0}\n"),
        (["pipeline"], "\"remote\"\n"), (["echo", "--json"], nil),
      ] as [([String], String?)] {
        let outcome = try place.run(.milonga, ["call", "localhost:\(port)"] + words)
        if let output {
          #expect(
            outcome.output == output && outcome.errors == "" && outcome.status == 0, "\(words)")
        } else {
          #expect(outcome.status == 2)
        }
      }
    }
  }

  @Test func `results as JSON`() throws {
    try serving(service) { place, port in
      let outcome = try place.run(
        .milonga,
        ["call", "--json", "127.0.0.1:\(port)", "echo", "nil", "1", "\"x\"", "{1,2}", "{a=true}"])
      #expect(outcome.output == "null\n1\n\"x\"\n[1,2]\n{\"a\":true}\n")
      #expect(outcome.status == 0)
    }
  }

  @Test func `other codecs`() throws {
    for codec in ["json", "msgpack"] {
      try serving(service, ["--codec", codec]) { place, port in
        let outcome = try place.run(
          .milonga, ["call", "--codec", codec, "localhost:\(port)", "echo", "{1,2}"])
        #expect(outcome.output == "{1,2}\n", "\(outcome)")
      }
    }
  }

  @Test func `errors, and their status`() throws {
    try serving(service) { place, port in
      let server = "localhost:\(port)"
      for (words, status, complaint) in [
        ([server, "fail"], 1, "milonga call: out of order\n"),
        ([server, "failWith"], 1, "milonga call: {code=7}\n"),
        ([server, "friends.nosuch.x"], 1, "no such variable"),
        (["localhost:1", "add"], 1, "milonga call: localhost:1: connection refused\n"),
        ([server, "add", "Anna"], 2, "argument #1, Anna, is no Lua literal"),
        ([server, "add", "os.exit()"], 2, "is no Lua literal"),
        ([server], 2, "usage: milonga call"), ([], 2, "usage: milonga call"),
        (["nowhere", "add"], 2, "'nowhere' is no HOST:PORT"),
        (["--nosuch", server, "add"], 2, "unrecognized option '--nosuch'"),
        (["--timeout"], 2, "'--timeout' needs argument"),
        (["--timeout", "x", server, "add"], 2, "'x' is no number"),
        (["--codec", "xml", server, "add"], 2, "there is no codec 'xml'"),
      ] {
        let outcome = try place.run(.milonga, ["call"] + words)
        #expect(Int(outcome.status) == status && outcome.output == "", "\(words): \(outcome)")
        #expect(outcome.errors.contains(complaint), "\(words): \(outcome)")
      }
    }
  }

  @Test func `names that are not there, and variables that are not to be written`() throws {
    let service =
      "return {add = function(a, b) return a + b end, none = function() end, t = {v = 1}}"
    for isWritable in [false, true] {
      try serving(service, isWritable ? ["--writable"] : []) { place, port in
        func run(_ words: String...) throws -> Outcome {
          try place.run(.milonga, ["call", "localhost:\(port)"] + words)
        }
        for name in ["nothing", "t.w"] {
          let outcome = try run(name)
          #expect(outcome.status == 1 && outcome.output == "", "\(outcome)")
          #expect(outcome.errors.contains("there is no '\(name)' on localhost:"), "\(outcome)")
        }
        let none = try run("none")
        #expect(none.status == 0 && none.output == "", "\(none)")
        #expect(try run("t.v").output == "1\n")
        for words in [["adn", "1"], ["t.v", "2"]] {
          let outcome = try run(words[0], words[1])
          #expect(outcome.status == (isWritable ? 0 : 1), "\(outcome)")
          #expect(outcome.errors.contains("no write_access") == !isWritable, "\(outcome)")
        }
        #expect(try run("t.v").output == (isWritable ? "2\n" : "1\n"))
        #expect(try run("add", "1", "2").output == "3\n")
      }
    }
  }

  @Test func `what cannot be served`() throws {
    let place = try Workplace()
    try place.write("return 5", to: "number.lua")
    try place.write("return {", to: "broken.lua")
    for (words, status, complaint) in [
      (["number.lua"], 1, "number.lua must return a table of what clients may use, not number"),
      (["broken.lua"], 1, "broken.lua:1: unexpected symbol"), (["nosuch.lua"], 1, "nosuch.lua"),
      ([], 2, "usage: milonga serve"), (["a.lua", "b.lua"], 2, "one file only"),
      (["--port"], 2, "'--port' needs argument"), (["--nosuch"], 2, "unrecognized option"),
      (["--codec", "xml", "a.lua"], 2, "no codec 'xml'"),
    ] {
      let outcome = try place.run(.milonga, ["serve"] + words)
      #expect(Int(outcome.status) == status && outcome.output == "", "\(words): \(outcome)")
      #expect(outcome.errors.contains(complaint), "\(words): \(outcome)")
    }
    try place.write("return {}", to: "empty.lua")
    let outcome = try place.run(.milonga, ["serve", "empty.lua", "--port", "x"])
    #expect(
      outcome.errors.contains("milonga serve: tango: bad configuration: 'port'"), "\(outcome)")
  }

  @Test func `scripts with these names`() throws {
    let place = try Workplace()
    try place.write("print('a script', ...)", to: "call")
    let outcome = try place.run(.milonga, ["./call", "x"])
    #expect(outcome.output == "a script\tx\n")
    let help = try place.run(.milonga, ["call", "--help"])
    #expect(help.output.hasPrefix("usage: milonga call") && help.status == 0)
  }
}
