import Foundation
import MilongaTestSupport
import Testing

/// What CHANGELOG.md says about versions.
enum Changelog {
  /// The number of the newest version that has one; changes without a number yet stand above it.
  static func version() throws -> String {
    let text = try String(contentsOfFile: LuaHost.package + "/CHANGELOG.md", encoding: .utf8)
    let heading = try #require(text.firstMatch(of: /\n## (\d+\.\d+\.\d+)/))
    return String(heading.1)
  }
}

@Suite("The version")
struct VersionTests {
  @Test func `the C module says the changelog's`() throws {
    let outcome = try LuaHost.module.run(
      ["-e", "print(require 'milonga'._VERSION)"], in: Workplace())
    #expect(outcome.output == "Milonga \(try Changelog.version())\n", "\(outcome)")
  }
}
