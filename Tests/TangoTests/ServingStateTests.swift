import RPCRuntime
import Testing

@testable import Tango

/// The life of a server's connection, without a channel.
@Suite struct ServingStateTests {
  private func opened(_ concurrency: CallConcurrency = .ordered) -> ServingState {
    var state = ServingState(concurrency)
    #expect(state.open() == true)
    return state
  }

  @Test func callsAreTakenOnceItIsOpen() {
    var state = ServingState()
    #expect(!state.takesCalls)
    #expect(state.open() == true)
    #expect(state.isReady)
    #expect(state.open() == false)
    _ = state.order.begin()
    #expect(state.takesCalls)
    #expect(!state.isIdle)
  }

  // MARK: Calls side by side

  @Test func thereIsAPlaceForSoMany() {
    var state = opened(.sideBySide(limit: 3))
    let calls = (0..<2).map { _ in state.order.begin() }
    #expect(state.isReady)
    // An answer that waits for an earlier one has a place, too.
    state.order.append([1])
    #expect(!state.isReady)
    state.end(call: calls[1], [2]) { _ in }
    #expect(!state.isReady)
    var left: [[UInt8]] = []
    state.end(call: calls[0], []) { left.append($0) }
    #expect(left == [[2], [1]])
    #expect(state.isReady && state.isIdle)
  }

  @Test func inOrderOneIsUnderWay() {
    var state = opened(.ordered)
    let call = state.order.begin()
    #expect(!state.isReady)
    state.end(call: call, []) { _ in }
    #expect(state.isReady)
  }

  /// Too many bytes must not wait for an answer that does not come.
  @Test func largeAnswersThatWait() {
    var state = opened(.sideBySide())
    let (first, second) = (state.order.begin(), state.order.begin())
    #expect(state.isReady)
    state.end(call: second, [UInt8](repeating: 0, count: 1 << 20)) { _ in }
    #expect(!state.isReady)
    state.end(call: first, []) { _ in }
    #expect(state.isReady)
  }

  @Test func aWriteWaitsForAllBeforeIt() {
    var state = opened(.sideBySide())
    #expect(state.awaitAll() == false)
    let (first, second) = (state.order.begin(), state.order.begin())
    #expect(state.awaitAll() == true)
    #expect(state.awaitsAll && !state.isReady)
    state.end(call: first, []) { _ in }
    #expect(!state.isReady)
    state.end(call: second, []) { _ in }
    #expect(state.isReady && !state.awaitsAll)
  }

  /// It gets no answers, and they need no memory.
  @Test func aPeerLeavesWithAnswersThatWait() {
    var state = opened(.sideBySide())
    let call = state.order.begin()
    state.order.append([1, 2])
    #expect(state.wantsAnswers)
    #expect(state.peerLeft() == .carryOut)
    #expect(!state.wantsAnswers)
    #expect(state.order.bytes == 0)
    state.end(call: call, []) { _ in Issue.record("an answer leaves") }
    #expect(state.order.isEmpty)
  }

  // MARK: Answers

  @Test func answersAreSent() {
    var state = opened()
    #expect(state.answers(isEmpty: true) == .keep)
    #expect(state.answers(isEmpty: false) == .send)
    _ = state.order.begin()
    #expect(state.answers(isEmpty: false) == .send)
  }

  @Test func answersToAPeerThatHasLeftAreDropped() {
    var state = opened()
    #expect(state.peerLeft() == .carryOut)
    #expect(state.answers(isEmpty: false) == .drop)
  }

  /// The last answers wait for the function that runs, and leave once.
  @Test func theLastAnswersCloseTheChannel() {
    var state = opened()
    let call = state.order.begin()
    #expect(state.shutDown() == .nothing)
    #expect(state.answers(isEmpty: true) == .keep)
    #expect(state.answers(isEmpty: false) == .send)
    state.end(call: call, []) { _ in }
    #expect(state.answers(isEmpty: true) == .sendAndClose)
    state.close()
    #expect(state.answers(isEmpty: false) == .keep)
  }

  // MARK: The ends

  @Test func shuttingDown() {
    var new = ServingState()
    #expect(new.shutDown() == .closeNow)
    #expect(new.open() == false)
    var idle = opened()
    #expect(idle.shutDown() == .flush)
    #expect(!idle.takesCalls)
    #expect(idle.shutDown() == .nothing)
  }

  @Test func aPeerLeaves() {
    var new = ServingState()
    #expect(new.peerLeft() == .release)
    var serving = opened()
    #expect(serving.peerLeft() == .carryOut)
    #expect(serving.hasLeft && serving.takesCalls)
    #expect(serving.peerLeft() == .nothing)
    #expect(serving.shutDown() == .nothing)
    #expect(serving.end() == true)
    #expect(serving.peerLeft() == .release)
  }

  /// What it has called is carried out in its next turn.
  @Test func aPeerLeavesBetweenTwoTurns() {
    var state = opened()
    #expect(state.giveWay() == true)
    #expect(state.peerLeft() == .nothing)
    state.beginTurn()
    #expect(state.isReady)
  }

  @Test func itEndsOnce() {
    var state = opened()
    #expect(state.end() == true)
    #expect(state.end() == false)
    #expect(!state.takesCalls)
  }

  @Test func theLargestHolderEnds() {
    var state = opened()
    state.evict()
    #expect(state.isEvicted)
    #expect(!state.takesCalls)
    #expect(state.end() == false)
    #expect(state.answers(isEmpty: false) == .keep)
  }

  // MARK: Turns and reading

  @Test func aTurnIsGivenUpOnce() {
    var state = opened()
    #expect(state.giveWay() == true)
    #expect(state.giveWay() == false)
    #expect(!state.isIdle)
    state.beginTurn()
    #expect(state.giveWay() == true)
  }

  private static let much = 1 << 20

  @Test func itIsNotReadWhileCallsWait() {
    var state = opened()
    #expect(state.readsOn(waiting: Self.much, unless: false) == nil)
    let call = state.order.begin()
    #expect(state.readsOn(waiting: 1, unless: true) == nil)
    #expect(state.readsOn(waiting: Self.much, unless: false) == false)
    #expect(state.readsOn(waiting: Self.much, unless: false) == nil)
    state.end(call: call, []) { _ in }
    #expect(state.readsOn(waiting: Self.much, unless: true) == nil)
    #expect(state.readsOn(waiting: Self.much, unless: false) == true)
  }

  /// Whether there is room is asked only when nothing else decides: the question has effects.
  @Test func roomIsAskedForLast() {
    var state = ServingState()
    func unwanted() -> Bool {
      Issue.record("asked for room")
      return false
    }
    #expect(state.readsOn(waiting: 1, unless: unwanted()) == nil)
    #expect(state.readsOn(waiting: Self.much, unless: unwanted()) == false)
    #expect(state.open() == true)
    #expect(state.giveWay() == true)
    #expect(state.readsOn(waiting: Self.much, unless: unwanted()) == nil)
    state.beginTurn()
    #expect(state.readsOn(waiting: Self.much, unless: false) == true)
    #expect(state.peerLeft() == .carryOut)
    #expect(state.readsOn(waiting: Self.much, unless: unwanted()) == nil)
  }
}
