import Testing

@testable import DeviceRPC

/// The life of a connection, without a channel.
@Suite struct PeerStateTests {
  private func opened() -> PeerState {
    var state = PeerState()
    #expect(state.open() == true)
    return state
  }

  private func isHeld(
    _ state: PeerState, received: Int = 0, isWritable: Bool = true, awaitsAnswers: Bool = false
  ) -> Bool {
    state.isHeld(received: received, isWritable: isWritable, awaitsAnswers: awaitsAnswers)
  }

  @Test func messagesAreHandledOnceItIsOpen() {
    var state = PeerState()
    #expect(!state.handlesMessages)
    #expect(state.open() == true)
    #expect(state.handlesMessages)
    #expect(state.open() == false)
  }

  // MARK: Reading

  /// Before it is open, and between two turns, a little is received in advance.
  @Test func aLittleIsReceivedInAdvance() {
    var state = PeerState()
    #expect(!isHeld(state, received: 100, isWritable: false))
    #expect(isHeld(state, received: 1 << 20))
    #expect(state.open() == true)
    #expect(!isHeld(state, received: 1 << 20))
    state.giveWay()
    #expect(isHeld(state, received: 1 << 20))
    state.beginTurn()
    #expect(!isHeld(state, received: 1 << 20))
  }

  /// A peer that does not read waits with its calls, but not with its answers.
  @Test func aPeerThatDoesNotReadWaits() {
    let state = opened()
    #expect(!isHeld(state, isWritable: true))
    #expect(isHeld(state, isWritable: false))
    #expect(!isHeld(state, isWritable: false, awaitsAnswers: true))
  }

  @Test func aRefusedReadIsMadeUp() {
    var state = opened()
    #expect(state.reads(unless: false) == true)
    #expect(state.makesUpRead(unless: false) == false)
    #expect(state.reads(unless: true) == false)
    #expect(state.owesRead)
    #expect(state.makesUpRead(unless: true) == false)
    #expect(state.makesUpRead(unless: false) == true)
    #expect(state.makesUpRead(unless: false) == false)
  }

  // MARK: The ends

  @Test func shuttingDown() {
    var new = PeerState()
    #expect(new.shutDown() == .end)
    var state = opened()
    #expect(state.shutDown() == .finish)
    // Answers still come, calls are refused.
    #expect(state.handlesMessages)
    #expect(state.phase == .finishing)
    #expect(state.shutDown() == .nothing)
    #expect(state.end() == true)
    #expect(state.shutDown() == .nothing)
  }

  @Test func itEndsOnce() {
    var state = opened()
    #expect(state.end() == true)
    #expect(state.end() == false)
    #expect(!state.handlesMessages)
    #expect(state.open() == false)
  }

  /// The calls of a peer that has gone are carried out in the connection's next turn.
  @Test func aPeerLeaves() {
    var state = opened()
    state.giveWay()
    #expect(!state.carriesOutRest)
    #expect(state.leave() == false)
    #expect(state.carriesOutRest)
    state.beginTurn()
    #expect(!state.carriesOutRest)
    var idle = opened()
    #expect(idle.leave() == true)
  }
}
