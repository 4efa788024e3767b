import Foundation
import MilongaTestSupport
import Testing

/// Scripts that run on Milonga alone: where it differs from LuaSocket on purpose, and what
/// LuaSocket does not promise. Each script checks itself, and ends without an error. When a file
/// with the same name and the suffix `.txt` stands beside it, the script prints that text.
@Suite("LuaSocket modules: what Milonga alone does")
struct MilongaOnlyTests {
  @Test(arguments: Script.all(in: "MilongaOnly"))
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
