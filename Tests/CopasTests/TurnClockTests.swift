import CMilongaTurns
import MilongaIO
import Testing

/// How long a turn lasts, by the processor's counter.
@Suite struct TurnClockTests {
  @Test func aTurnLastsSomeMilliseconds() {
    // The first one may be shorter: the counter's rate is not known before.
    for isMeasured in [false, true] {
      let begin = MonotonicTime.now()
      let end = milonga_turn_end()
      var questions = 0
      while milonga_turn_is_over(end) == 0 { questions += 1 }
      #expect(questions > 0)
      let elapsed = MonotonicTime.now() - begin
      if isMeasured { #expect(elapsed > Int64(MILONGA_TURN_NANOSECONDS) * 9 / 10) }
    }
  }
}
