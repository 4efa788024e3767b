import Foundation
import MilongaTestSupport
import Testing

/// Scripts for Milonga alone: where it does something else than LuaSocket, on purpose, and what
/// only it promises. A script ends without an error; and when there is a file of the same name with
/// `.txt`, prints what that contains.
@Suite("LuaSocket modules of Milonga's own")
struct OwnTests {
  @Test(arguments: Script.all(in: "Own"))
  func script(_ script: Script) throws {
    let seed = UInt32.random(in: 0...UInt32.max)
    let outcome = try Workplace().run(
      .milonga, [script.path, String(seed)], environment: script.environment)
    #expect(outcome.status == 0, "seed \(seed): \(outcome)")
    #expect(outcome.errors == "")
    let path = script.path.replacingOccurrences(of: ".lua", with: ".txt")
    guard let expected = try? String(contentsOfFile: path, encoding: .utf8) else { return }
    let printed = outcome.output.split(separator: "\n", omittingEmptySubsequences: false)
    let lines = expected.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(printed.count == lines.count)
    for (ours, expected) in zip(printed, lines) { #expect(ours == expected) }
  }
}
