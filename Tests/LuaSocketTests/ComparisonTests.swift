import TestSupport
import Testing

/// Each script prints what LuaSocket's functions return. The original is the judge; what is
/// different on purpose is listed in `Docs/differences.md`, and not printed.
@Suite("LuaSocket does what the original does")
struct ComparisonTests {
  @Test(arguments: Script.all())
  func sameOutput(_ script: Script) throws {
    let place = try Workplace()
    let theirs = try place.run(.lua, [script.path], environment: script.environment)
    let ours = try place.run(.milonga, [script.path], environment: script.environment)
    #expect(theirs.status == 0, "\(theirs)")
    #expect(ours.status == 0, "\(ours)")
    #expect(ours.errors == theirs.errors)

    let expected = theirs.output.split(separator: "\n", omittingEmptySubsequences: false)
    let printed = ours.output.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(printed.count == expected.count)
    for (ours, theirs) in zip(printed, expected) { #expect(ours == theirs) }
  }
}
