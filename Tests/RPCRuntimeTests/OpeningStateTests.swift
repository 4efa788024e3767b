import Testing

@testable import RPCRuntime

/// The opening of a connection, without a channel.
@Suite struct OpeningStateTests {
  @Test func nothingIsNeeded() {
    var state = OpeningState(hasTLS: false, asksProgram: false)
    #expect(!state.waits)
    #expect(state.connected() == .open)
    #expect(state.connected() == .nothing)
    #expect(state.handshakeCompleted() == .nothing)
    #expect(state.timedOut(.seconds(1)) == .nothing)
  }

  @Test func theHandshakeIsEnough() {
    var state = OpeningState(hasTLS: true, asksProgram: false)
    #expect(state.waits)
    #expect(state.connected() == .nothing)
    #expect(!state.isAsking)
    #expect(state.handshakeCompleted() == .open)
    #expect(state.handshakeCompleted() == .nothing)
  }

  @Test(arguments: [false, true]) func theProgramIsAsked(_ hasTLS: Bool) {
    var state = OpeningState(hasTLS: hasTLS, asksProgram: true)
    #expect(state.connected() == (hasTLS ? .nothing : .ask))
    if hasTLS { #expect(state.handshakeCompleted() == .ask) }
    #expect(state.isAsking)
    #expect(state.answered(nil) == .open)
    #expect(!state.isAsking)
    #expect(state.answered("not authorized") == .nothing)
  }

  @Test func theProgramRefuses() {
    var state = OpeningState(hasTLS: false, asksProgram: true)
    #expect(state.connected() == .ask)
    #expect(state.answered("not authorized") == .refuse("not authorized"))
    #expect(state.timedOut(.seconds(1)) == .nothing)
  }

  @Test func theHandshakeTakesTooLong() {
    var state = OpeningState(hasTLS: true, asksProgram: true)
    #expect(state.connected() == .nothing)
    #expect(state.timedOut(.seconds(3)) == .refuse("no handshake within 3.0 seconds"))
    #expect(state.handshakeCompleted() == .nothing)
    #expect(state.timedOut(.seconds(3)) == .nothing)
  }

  /// The program's answer comes when it does not matter.
  @Test func theProgramAnswersTooLate() {
    var state = OpeningState(hasTLS: false, asksProgram: true)
    #expect(state.connected() == .ask)
    #expect(state.timedOut(.seconds(3)) == .refuse("no handshake within 3.0 seconds"))
    #expect(state.answered(nil) == .nothing)
  }

  @Test func theConnectionEndsBefore() {
    var state = OpeningState(hasTLS: false, asksProgram: true)
    #expect(state.connected() == .ask)
    state.cancel()
    #expect(!state.isAsking)
    #expect(state.answered(nil) == .nothing)
    #expect(state.timedOut(.seconds(3)) == .nothing)
  }
}
