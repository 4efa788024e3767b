import Foundation
import Glibc
import MilongaTestSupport
import Testing

/// A script that says by itself whether all is well, on one of the readiness back ends.
struct XPIORun: Sendable, CustomTestStringConvertible {
  let script: Script
  let backend: String

  static let backends = ["epoll", "poll"]

  var testDescription: String { "\(script) on \(backend)" }

  static let all = Script.all(besides: #filePath).flatMap { script in
    backends.map { XPIORun(script: script, backend: $0) }
  }

  /// How many lines `ok` the script's first line announces.
  private func expectedBehaviours() throws -> Int {
    let text = try String(contentsOfFile: script.path, encoding: .utf8)
    let line = text.prefix { $0 != "\n" }
    return try #require(Int(line.drop { !$0.isNumber }), "\(script) begins with `-- oks: count`")
  }

  /// What runs the script with fewer descriptors or processes, in a shell.
  private var wrapper: String? {
    switch script.name {
    case "limits": "ulimit -n 32; exec \"$@\""
    // Root may have any number of processes, so the script runs as a user that has no others.
    case "processes":
      "exec setpriv --reuid=\(400_000 + getpid()) --clear-groups prlimit --nproc=4 \"$@\""
    default: nil
    }
  }

  /// Only root can become another user, who has to find what is run.
  static let canChangeUser: Bool = {
    let check = "exec setpriv --reuid=400000 --clear-groups test -x \"$0\" -a -r \"$1\""
    let arguments = ["-c", check, Program.milonga.path, #filePath]
    return geteuid() == 0 && (try? Workplace().run(.shell, arguments).status) == 0
  }()

  func check() throws {
    let place = try Workplace()
    let environment = script.environment.merging(["MILONGA_READINESS": backend, "HOME": "/"]) { $1 }
    let outcome =
      if let wrapper {
        try place.run(
          .shell, ["-c", wrapper, "sh", Program.milonga.path, script.path],
          environment: environment)
      } else {
        try place.run(.milonga, [script.path], environment: environment)
      }
    #expect(outcome.status == 0, "\(outcome)")
    let behaviours = outcome.output.split(separator: "\n").filter { $0.hasPrefix("ok ") }
    #expect(behaviours.count == (try expectedBehaviours()), "\(outcome)")
  }
}

@Suite("XPIO")
struct XPIOScriptTests {
  @Test(arguments: XPIORun.all.filter { $0.script.name != "processes" })
  func script(_ run: XPIORun) throws { try run.check() }

  /// One after the other, because the limit counts all processes of a user.
  @Test(
    .serialized,
    .enabled(if: XPIORun.canChangeUser, "it takes root, and a place that others can read"),
    arguments: XPIORun.all.filter { $0.script.name == "processes" })
  func `few processes`(_ run: XPIORun) throws { try run.check() }

  /// The example: a server, 1,000 clients and 50 children at once.
  @Test(arguments: XPIORun.backends)
  func crowd(_ backend: String) throws {
    let repository = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let place = try Workplace()
    let script = repository.path + "/Examples/xpio/crowd.lua"
    let outcome = try place.run(
      .shell, ["-c", "ulimit -n 4096; exec \"$@\"", "sh", Program.milonga.path, script],
      environment: ["MILONGA_READINESS": backend])
    #expect(outcome.status == 0, "\(outcome)")
    #expect(
      outcome.output.hasPrefix("1000 clients had 10000 answers, 50 children have ended, in "),
      "\(outcome)")
  }
}
