import Testing

@testable import Tango

/// The life of a server's connection, without a channel.
@Suite struct ServingStateTests {
  private func opened() -> ServingState {
    var state = ServingState()
    #expect(state.open() == true)
    return state
  }

  @Test func callsAreTakenOnceItIsOpen() {
    var state = ServingState()
    #expect(!state.takesCalls)
    #expect(state.open() == true)
    #expect(state.isReady)
    #expect(state.open() == false)
    state.isRunning = true
    #expect(state.takesCalls)
    #expect(!state.isReady)
    #expect(!state.isIdle)
  }

  // MARK: Answers

  @Test func answersAreSent() {
    var state = opened()
    #expect(state.answers(isEmpty: true) == .keep)
    #expect(state.answers(isEmpty: false) == .send)
    state.isRunning = true
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
    state.isRunning = true
    #expect(state.shutDown() == .nothing)
    #expect(state.answers(isEmpty: true) == .keep)
    #expect(state.answers(isEmpty: false) == .send)
    state.isRunning = false
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
    state.isRunning = true
    #expect(state.readsOn(waiting: 1, unless: true) == nil)
    #expect(state.readsOn(waiting: Self.much, unless: false) == false)
    #expect(state.readsOn(waiting: Self.much, unless: false) == nil)
    state.isRunning = false
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
