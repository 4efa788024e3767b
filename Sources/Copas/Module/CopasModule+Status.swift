import MilongaIO
import MilongaLua
import MilongaScheduler

/// How long the dispatcher's steps took since they were last asked for.
struct StepStatistics {
  var steps = 0
  /// Nanoseconds, without the wait for readiness.
  var total: Int64 = 0
  var shortest = Int64.max
  var longest: Int64 = 0
  /// Since statistics are kept.
  var shortestEver = Int64.max
  var longestEver: Int64 = 0
  var start = WallClock.now()

  mutating func add(_ duration: Int64) {
    steps += 1
    total += duration
    shortest = min(shortest, duration)
    longest = max(longest, duration)
    shortestEver = min(shortestEver, duration)
    longestEver = max(longestEver, duration)
  }

  /// Begins anew; what was ever seen stays.
  mutating func restart() {
    (steps, total, shortest, longest) = (0, 0, .max, 0)
    start = WallClock.now()
  }
}

extension CopasLoop {
  func addStatus(_ call: LuaCall) {
    call.setFunction("status") { [self] (call) throws(LuaFailure) in
      if call.type(at: 1) == .boolean {
        statistics = call.boolean(at: 1) ? statistics ?? StepStatistics() : nil
      }
      call.pushTable(fields: 20)
      pushStatistics(call)
      let waiting = scheduler.waitingCounts
      call.push(isStepping)
      call.setField("running", of: -2)
      let counts: [(StaticString, Int)] = [
        ("read", waiting.read), ("write", waiting.write), ("active", scheduler.readyCount),
        ("timer", max(0, scheduler.sleeping - timeouts.count)), ("inactive", asleepForEver),
        ("timeout", timeouts.count), ("references", call.retainedCount),
      ]
      for (name, count) in counts {
        call.push(count)
        call.setField(name, of: -2)
      }
      return .results(1)
    }
  }

  /// Sets the fields of the steps' statistics, if there are any, in the table on top.
  private func pushStatistics(_ call: LuaCall) {
    guard let seen = statistics, seen.steps > 0 else { return }
    let now = WallClock.now()
    let steps = Double(seen.steps)
    let fields: [(StaticString, Double)] = [
      ("duration_avg", milliseconds(Double(seen.total) / steps)),
      ("duration_max", milliseconds(Double(seen.longest))),
      ("duration_max_ever", milliseconds(Double(seen.longestEver))),
      ("duration_min", milliseconds(Double(seen.shortest))),
      ("duration_min_ever", milliseconds(Double(seen.shortestEver))),
      ("duration_tot", milliseconds(Double(seen.total))),
      ("time_avg", milliseconds((now - seen.start) * 1e9 / steps)),
      ("time_start", rounded(seen.start)), ("time_end", rounded(now)),
      ("time_tot", rounded(now - seen.start)),
    ]
    call.push(seen.steps)
    call.setField("steps", of: -2)
    for (name, value) in fields {
      call.push(value)
      call.setField(name, of: -2)
    }
    statistics!.restart()
  }

  /// Milliseconds with three decimals.
  private func milliseconds(_ nanoseconds: Double) -> Double {
    (nanoseconds / 1000).rounded() / 1000
  }

  /// Seconds with three decimals.
  private func rounded(_ seconds: Double) -> Double { (seconds * 1000).rounded() / 1000 }
}
