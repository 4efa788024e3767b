import Glibc
import MilongaIO
import Testing

@Suite struct MonotonicTimeTests {
  @Test func `it never goes back`() {
    var last = MonotonicTime.now()
    for _ in 0..<10_000 {
      let now = MonotonicTime.now()
      #expect(now >= last)
      last = now
    }
  }

  // MARK: Deadlines

  @Test(
    arguments: [
      (0.0, 0), (1e-9, 1), (0.5, 500_000_000), (1, 1_000_000_000), (86_400, 86_400_000_000_000),
    ] as [(Double, Int64)])
  func `a deadline is so many seconds after the start`(_ seconds: Double, _ nanoseconds: Int64) {
    #expect(MonotonicTime.deadline(after: seconds, from: 0) == nanoseconds)
    #expect(MonotonicTime.deadline(after: seconds, from: 12_345) == 12_345 + nanoseconds)
  }

  @Test(arguments: [-0.0, -1e-9, -1, -1e300, -Double.infinity])
  func `a negative time has passed already`(_ seconds: Double) {
    #expect(MonotonicTime.deadline(after: seconds, from: 77) == 77)
  }

  @Test(arguments: [Double.infinity, .nan, .greatestFiniteMagnitude, 1e18, 9e9])
  func `infinite, absurd and undefined times never pass`(_ seconds: Double) {
    #expect(MonotonicTime.deadline(after: seconds, from: 77) == MonotonicTime.never)
  }

  @Test func `a long time does not wrap around, however late it starts`() {
    let years = 8.9e9
    #expect(MonotonicTime.deadline(after: years, from: 0) == 8_900_000_000_000_000_000)
    let late: Int64 = 1_000_000_000_000_000_000
    #expect(MonotonicTime.deadline(after: years, from: late) == MonotonicTime.never)
    #expect(MonotonicTime.deadline(after: 1, from: .max - 1) == MonotonicTime.never)
    #expect(MonotonicTime.deadline(after: 0, from: .max - 1) == .max - 1)
  }

  // MARK: Milliseconds

  @Test(
    arguments: [
      (0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2), (5_000_000_000, 5000),
      (-1, 0), (-5_000_000_000, 0),
    ] as [(Int64, Int32)])
  func `milliseconds are rounded up and never negative`(_ left: Int64, _ milliseconds: Int32) {
    #expect(
      MonotonicTime.milliseconds(until: 1_000_000_000_000 + left, from: 1_000_000_000_000)
        == milliseconds)
  }

  @Test func `never is waiting for ever`() {
    #expect(MonotonicTime.milliseconds(until: MonotonicTime.never, from: 0) == -1)
    #expect(MonotonicTime.milliseconds(until: MonotonicTime.never, from: .max) == -1)
  }

  @Test func `times beyond what a wait can take are cut`() {
    #expect(MonotonicTime.milliseconds(until: .max - 1, from: 0) == Int32.max)
    #expect(MonotonicTime.milliseconds(until: .max - 1, from: .max - 2) == 1)
    #expect(MonotonicTime.milliseconds(until: .min, from: .max) == 0)
    #expect(MonotonicTime.milliseconds(until: 0, from: .max) == 0)
  }
}

@Suite struct WallClockTests {
  @Test func `it is the time of day`() {
    #expect(abs(WallClock.now() - Double(time(nil))) < 5)
  }

  @Test(arguments: [0.0, 1e-7, 0.001, 0.02])
  func `sleep lasts as long as it should`(_ time: Double) {
    #expect(seconds { WallClock.sleep(time) } >= time)
  }

  @Test(arguments: [0.0, -1, -.infinity, .nan])
  func `there is no sleep of no time`(_ time: Double) {
    #expect(seconds { WallClock.sleep(time) } < 1)
  }

  @Test func `signals do not shorten sleep`() {
    withInterruptions {
      #expect(seconds { WallClock.sleep(0.05) } >= 0.05)
    }
  }
}
