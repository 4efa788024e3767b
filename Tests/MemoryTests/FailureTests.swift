import Foundation
import MilongaTestSupport
import Testing

/// Allocations that fail: the n-th one of a script, of Lua's allocator or of our own buffers, and
/// all later ones until the program knows. The script may fail; the process must not end by a
/// signal.
///
/// All of the first thousand and every 97th beyond. MILONGA_CHECK_MEMORY=all, which
/// `make check-memory` sets, is for every one, MILONGA_CHECK_MEMORY=some for every 97th, with
/// AddressSanitizer.
@Suite("Failing allocations")
struct FailureTests {
  private static let choice = ProcessInfo.processInfo.environment["MILONGA_CHECK_MEMORY"]

  private static func next(after number: Int) -> Int {
    switch choice {
    case "all": number + 1
    case "some": number + 97
    default: number + (number < 1000 ? 1 : 97)
    }
  }

  @Test(arguments: Script.all())
  func `no failure ends the process`(script: Script) throws {
    let place = try Workplace()
    var number = 1
    var failures = 0
    while true {
      let outcome = try place.run(
        .milonga, [script.path],
        environment: ["MILONGA_FAIL_ALLOCATION": "\(number)"], seconds: 60, session: true)
      guard outcome.errors.contains("allocation \(number) fails") else {
        // So many allocations the script does not make: it runs as if there were no such test.
        #expect(outcome.status == 0, "\(script) without a failure: \(outcome)")
        break
      }
      failures += 1
      #expect(
        outcome.status == 0 || outcome.status == 1, "\(script), allocation \(number): \(outcome)")
      number = Self.next(after: number)
    }
    #expect(failures > (Self.choice == "some" ? 5 : 500))
  }
}
