import MilongaTestSupport
import Testing

/// Each script prints what LuaSocket's functions return. The original is the judge; what is
/// different on purpose is listed in `Docs/differences.md`, and not printed. Scripts named
/// `random_...` are given a seed.
@Suite("LuaSocket does what the original does")
struct ComparisonTests {
  @Test(arguments: Script.all())
  func sameOutput(_ script: Script) throws {
    let place = try Workplace()
    var command = [script.path]
    if script.name.hasPrefix("random") { command.append(String(UInt32.random(in: 0...UInt32.max))) }
    let theirs = try place.run(.lua, command, environment: script.environment)
    let ours = try place.run(.milonga, command, environment: script.environment)
    #expect(theirs.status == 0, "\(command): \(theirs)")
    #expect(ours.status == 0, "\(command): \(ours)")
    #expect(ours.errors == theirs.errors)

    let expected = theirs.output.split(separator: "\n", omittingEmptySubsequences: false)
    let printed = ours.output.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(printed.count == expected.count, "\(command)")
    for (ours, theirs) in zip(printed, expected) { #expect(ours == theirs) }
  }
}
