import Foundation
import MilongaTestSupport
import Testing

/// A script that says by itself whether all is well, on one of the readiness back ends.
struct CopasRun: Sendable, CustomTestStringConvertible {
  let script: Script
  let backend: String

  var testDescription: String { "\(script) on \(backend)" }

  static let all = Script.all(besides: #filePath).flatMap { script in
    ["epoll", "poll"].map { CopasRun(script: script, backend: $0) }
  }

  /// The process may have so many descriptors.
  private var descriptors: Int? {
    switch script.name {
    case "descriptors": 32
    case "leak": 2 * connections + 100
    default: nil
    }
  }

  /// What the leak test opens at once. poll(2) looks at each of them every time.
  private var connections: Int { backend == "epoll" ? 5000 : 500 }

  /// How many lines `ok` the script's first line announces.
  private func expectedBehaviours() throws -> Int {
    let text = try String(contentsOfFile: script.path, encoding: .utf8)
    let line = text.prefix { $0 != "\n" }
    return try #require(Int(line.drop { !$0.isNumber }), "\(script) begins with `-- oks: count`")
  }

  func check() throws {
    let place = try Workplace()
    var environment = script.environment
    environment["MILONGA_READINESS"] = backend
    var command = [Program.milonga.path, script.path, String(connections)]
    if let descriptors {
      command = ["-c", "ulimit -n \"$0\"; exec \"$@\"", String(descriptors)] + command
    } else {
      command.removeFirst()
    }
    let outcome = try place.run(
      descriptors == nil ? .milonga : .shell, command, environment: environment)
    #expect(outcome.status == 0, "\(outcome)")
    let behaviours = outcome.output.split(separator: "\n").filter { $0.hasPrefix("ok ") }
    #expect(behaviours.count == (try expectedBehaviours()), "\(outcome)")
  }
}

@Suite("Copas")
struct CopasScriptTests {
  @Test(arguments: CopasRun.all)
  func script(_ run: CopasRun) throws { try run.check() }
}
