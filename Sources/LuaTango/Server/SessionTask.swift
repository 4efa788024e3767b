import Copas
import MilongaLua

/// A task that serves a client without a coroutine of its own while it waits.
final class SessionTask: CoroutinelessTask {
  private let session: TangoSession
  /// The connection ends with this task.
  private let isOwner: Bool

  init(_ session: TangoSession, isOwner: Bool) {
    self.session = session
    self.isOwner = isOwner
  }

  override func run(_ call: LuaCall) -> LuaOutcome {
    if case .atRest = state {
      session.prepare(call)
      state = .busy
    }
    let outcome = session.run(call)
    state = session.left
    return outcome
  }

  override func ended() {
    if isOwner { session.ownerEnded() }
  }
}
