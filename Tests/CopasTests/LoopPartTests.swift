import MilongaIO
import MilongaScheduler
import Testing

@testable import Copas

/// The parts of the dispatcher that need no Lua.
@Suite struct LoopPartTests {
  private final class Observer: ThreadObserver, HangupObserver, RoundEndObserver {
    var rounds = 0

    func ended(_ task: TaskID) {}
    func hungUp() {}
    func roundEnded() { rounds += 1 }
  }

  // MARK: Observers

  @Test func anObserversNumberIsNeverZeroAndUsedAgain() {
    var observers = ThreadObservers()
    let (one, two, three) = (Observer(), Observer(), Observer())
    let first = observers.add(one)
    let second = observers.add(two)
    #expect(first != 0 && second != 0 && first != second)
    #expect(observers[first] === one)
    #expect(observers[0] == nil)
    observers.remove(first)
    #expect(observers[first] == nil)
    #expect(observers.add(three) == first)
    #expect(observers[second] === two)
  }

  @Test func onlyTheObserverItselfEndsItsObservation() {
    var observers = HangupObservers()
    let (one, two) = (Observer(), Observer())
    observers.add(one, of: 5)
    observers.remove(two, of: 5)
    #expect(observers[5] === one)
    observers.remove(one, of: 5)
    #expect(observers[5] == nil)
    observers.add(two, of: 6)
    observers.forget(6)
    #expect(observers[6] == nil)
  }

  @Test func whatIsAddedAtTheEndOfARoundIsToldTheNextTime() {
    var observers = RoundEndObservers()
    let (first, second) = (Observer(), Observer())
    observers.add(first)
    for observer in observers.takeThoseToTell() {
      observer.roundEnded()
      observers.add(second)
    }
    observers.forgetToldOnes()
    #expect(first.rounds == 1)
    #expect(second.rounds == 0)
    #expect(!observers.isEmpty)
    for observer in observers.takeThoseToTell() { observer.roundEnded() }
    observers.forgetToldOnes()
    #expect(first.rounds == 1)
    #expect(second.rounds == 1)
    #expect(observers.isEmpty)
    #expect(observers.takeThoseToTell().isEmpty)
  }

  // MARK: The exit

  @Test func theAnnouncementWakesTheThreadsThatWaitForIt() {
    let scheduler = Scheduler()
    let task = scheduler.spawn()
    var exit = ExitState()
    exit.add(task, exists: scheduler.exists)
    scheduler.sleep(task, until: .max)
    exit.announce(scheduler)
    #expect(exit.isExiting)
    #expect(scheduler.readyCount == 1)
    #expect(exit.isAwaited(exists: scheduler.exists))
    scheduler.finish(task)
    #expect(!exit.isAwaited(exists: scheduler.exists))
  }

  @Test func theAnnouncementComesOnce() {
    let scheduler = Scheduler()
    var exit = ExitState()
    exit.announce(scheduler)
    let task = scheduler.spawn()
    exit.add(task, exists: scheduler.exists)
    scheduler.sleep(task, until: .max)
    exit.announce(scheduler)
    #expect(scheduler.readyCount == 0)
  }

  // MARK: Work of other threads

  @Test func workIsCountedUntilItsAnswerComesOrIsNotWanted() throws {
    let readiness = try ReadinessQueue(.chosen)
    let pending = OffThreadCount()
    defer { pending.free() }
    let work = OffThreadWork<Int>(waker: readiness.waker, pending)
    defer { work.close() }
    let scheduler = Scheduler()
    let task = scheduler.spawn()
    var answer: (@Sendable (Int) -> Void)?
    let first = work.start(for: task) {
      answer = $0
      return nil
    }
    var cancelled = false
    let second = work.start(for: task) { _ in { cancelled = true } }
    #expect(pending.value == 2)
    answer?(42)
    work.deliver { _ in true }
    #expect(pending.value == 1)
    #expect(work.takeAnswer(first) == 42)
    work.abandon(second)
    work.abandon(second)
    #expect(pending.value == 0)
    #expect(cancelled)
    #expect(work.isEmpty)
  }

  @Test func theWorkOfTasksThatAreGoneIsNotWanted() throws {
    let readiness = try ReadinessQueue(.chosen)
    let offThread = OffThread(readiness.waker)
    defer { offThread.close() }
    let scheduler = Scheduler()
    let task = scheduler.spawn()
    _ = offThread.lookups.start(for: task) { _ in nil }
    #expect(offThread.pending.value == 1)
    #expect(offThread.hasWantedWork(exists: scheduler.exists))
    scheduler.finish(task)
    #expect(!offThread.hasWantedWork(exists: scheduler.exists))
    #expect(offThread.pending.value == 0)
  }
}
