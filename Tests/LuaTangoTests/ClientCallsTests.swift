import MilongaScheduler
import Testing

@testable import LuaTango

/// Calls, their readers and their answers, without a socket.
@Suite("A client's calls")
struct ClientCallsTests {
  private let a = TaskID(bits: 1)
  private let b = TaskID(bits: 2)
  private let c = TaskID(bits: 3)

  private func answer(_ id: Int = 0) -> Answer { Answer(id: id, headerBytes: 2, bodyBytes: 6) }

  // MARK: Who reads

  @Test func `the first that waits reads for all`() {
    var calls = ClientCalls<OrderedCalls>(limit: 8)
    expect(!calls.isInUse)
    expect(calls.reads(a))
    expect(!calls.reads(b))
    expect(calls.reads(a))
    expect(calls.isInUse && calls.reader == a)
  }

  @Test func `the one that has waited longest reads on`() {
    var calls = ClientCalls<OrderedCalls>(limit: 8)
    let first = calls.table.add(.coroutine(a))
    _ = calls.table.add(.coroutine(b))
    _ = calls.table.add(.coroutine(c))
    expect(calls.reads(a))
    guard case .own = calls.deliver(answer(), readerWaitsFor: first) else {
      return expect(false, "the answer is the reader's")
    }
    expect(calls.passOn() == b)
    expect(calls.reader == b)
  }

  @Test func `an answer is handed over to the coroutine that it is for`() {
    var calls = ClientCalls<OrderedCalls>(limit: 8)
    let first = calls.table.add(.coroutine(a))
    let second = calls.table.add(.coroutine(b))
    // It only makes room, and reads meanwhile.
    expect(calls.reads(b))
    guard case .handOver(let task) = calls.deliver(answer(), readerWaitsFor: second) else {
      return expect(false, "the answer is another coroutine's")
    }
    expect(task == a && calls.reader == a)
    expect(calls.table.contains(first) && calls.table.count == 2)
    guard case .own = calls.deliver(answer(), readerWaitsFor: first) else {
      return expect(false, "the answer is the new reader's")
    }
    expect(!calls.table.contains(first) && calls.table.contains(second))
  }

  @Test func `a future's answer does not change the reader`() {
    var calls = ClientCalls<OrderedCalls>(limit: 8)
    let future = TangoFuture()
    _ = calls.table.add(.future(future))
    let own = calls.table.add(.coroutine(a))
    expect(calls.reads(a))
    guard case .future(let found) = calls.deliver(answer(), readerWaitsFor: own) else {
      return expect(false, "the answer is the future's")
    }
    expect(found === future && calls.reader == a && calls.table.count == 1)
  }

  @Test func `futures that no coroutine waits for are not waited for`() {
    var calls = ClientCalls<OrderedCalls>(limit: 8)
    let future = TangoFuture()
    _ = calls.table.add(.future(future))
    expect(calls.passOn() == nil)
    future.waiters = [b]
    expect(calls.passOn() == b)
  }

  @Test func `without calls the next that waits for room reads`() {
    var calls = ClientCalls<OrderedCalls>(limit: 8)
    calls.waitForRoom(b)
    calls.waitForRoom(c)
    expect(calls.passOn() == b)
    expect(calls.waitingForRoom == [c])
    expect(calls.madeRoom() == [c])
    expect(calls.waitingForRoom.isEmpty)
  }

  @Test func `the coroutine whose answer has come reads next, in any order`() {
    var calls = ClientCalls<CallsByNumber>(limit: 8)
    let first = calls.table.add(.coroutine(a))
    let second = calls.table.add(.coroutine(b))
    let third = calls.table.add(.coroutine(c))
    expect(calls.reads(a))
    guard case .handOver(let task) = calls.deliver(answer(third), readerWaitsFor: first) else {
      return expect(false, "the answer is another coroutine's")
    }
    expect(task == c)
    guard case .own = calls.deliver(answer(third), readerWaitsFor: third) else {
      return expect(false, "the answer is the new reader's")
    }
    expect(calls.passOn(next: answer(second)) == b)
  }

  // MARK: Giving up

  @Test func `an ordered call that was given up keeps its place`() {
    var calls = ClientCalls<OrderedCalls>(limit: 2)
    let first = calls.table.add(.coroutine(a))
    let second = calls.table.add(.coroutine(b))
    expect(calls.isFull)
    expect(calls.table.abandon(first)?.id == first)
    expect(calls.table.abandon(first) == nil)
    // Its answer comes, and must not be taken for the second one's.
    expect(calls.isFull)
    guard case .unwanted = calls.deliver(answer(), readerWaitsFor: second) else {
      return expect(false, "the answer is dropped")
    }
    guard case .own = calls.deliver(answer(), readerWaitsFor: second) else {
      return expect(false, "the answer is the second call's")
    }
    expect(calls.isIdle)
  }

  @Test func `a numbered call that was given up makes room`() {
    var calls = ClientCalls<CallsByNumber>(limit: 1)
    let first = calls.table.add(.coroutine(a))
    expect(calls.isFull)
    expect(calls.table.abandon(first)?.id == first)
    expect(calls.isIdle)
    guard case .unwanted = calls.deliver(answer(first), readerWaitsFor: 2) else {
      return expect(false, "the answer comes too late")
    }
  }

  @Test func `answers that were never asked for are dropped`() {
    var ordered = ClientCalls<OrderedCalls>(limit: 1)
    var numbered = ClientCalls<CallsByNumber>(limit: 1)
    guard case .unwanted = ordered.deliver(answer(), readerWaitsFor: 1),
      case .unwanted = numbered.deliver(answer(7), readerWaitsFor: 1)
    else { return expect(false, "no call was made") }
    expect(ordered.table.add(.program) == 1 && ordered.table.contains(1))
  }

  @Test func `when the reader is removed another coroutine reads`() {
    var calls = ClientCalls<OrderedCalls>(limit: 8)
    let first = calls.table.add(.coroutine(a))
    _ = calls.table.add(.coroutine(b))
    let future = TangoFuture()
    future.waiters = [a, c]
    _ = calls.table.add(.future(future))
    calls.waitForRoom(a)
    expect(calls.reads(a))
    let (abandoned, next) = calls.removed(a)
    expect(abandoned == [first] && next == b)
    expect(future.waiters == [c] && calls.waitingForRoom.isEmpty)
    expect(calls.removed(c).wake == nil)
  }

  @Test func `only futures whose time is over are given up`() {
    var table = CallsByNumber(limit: 8)
    let (early, late) = (TangoFuture(), TangoFuture())
    early.deadline = 10
    late.deadline = 20
    let id = table.add(.future(early))
    _ = table.add(.future(late))
    _ = table.add(.coroutine(a))
    expect(table.abandonOverdue(9).isEmpty)
    expect(table.abandonOverdue(10).map(\.id) == [id])
    expect(table.abandonOverdue(19).isEmpty)
    expect(table.count == 2)
    expect(table.abandonOverdue(20).count == 1)
  }

  @Test func `the program's calls have half of the room`() {
    var table = OrderedCalls(limit: 4)
    expect(table.hasRoomForUnawaited)
    expect(table.addUnawaited() == 1 && table.addUnawaited() == 2)
    expect(!table.hasRoomForUnawaited)
    let id = table.add(.coroutine(a))
    expect(id == 3 && table.contains(id))
    expect(table.owner(of: answer()) == nil)
  }

  // MARK: The end

  @Test func `the end of a connection is the end of its calls`() {
    var calls = ClientCalls<OrderedCalls>(limit: 8)
    let ids = [calls.table.add(.coroutine(a)), calls.table.add(.coroutine(b))]
    calls.waitForRoom(c)
    expect(calls.reads(a))
    let (unanswered, wake) = calls.ended()
    expect(unanswered.map(\.id) == ids && wake == [c])
    expect(calls.isIdle && !calls.isInUse)
    // The calls of the next connection have other numbers.
    let next = calls.table.add(.coroutine(b))
    expect(!ids.contains(next) && calls.table.contains(next))
    expect(!ids.contains { calls.table.contains($0) })
  }

  @Test func `calls that were not sent survive a loss`() {
    var table = CallsByNumber(limit: 8)
    let ids = (0..<4).map { _ in table.add(.coroutine(a)) }
    let lost = table.removeAll { $0 == ids[1] || $0 == ids[3] }
    expect(Set(lost.map(\.id)) == [ids[0], ids[2]])
    expect(table.contains(ids[1]) && table.contains(ids[3]) && table.count == 2)
  }
}

/// `#expect` cannot look into what changes a value.
func expect(
  _ condition: Bool, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(condition, comment, sourceLocation: sourceLocation)
}
