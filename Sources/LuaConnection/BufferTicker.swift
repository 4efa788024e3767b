import Copas
import MilongaIO
import MilongaLua
import MilongaRPC

/// Calls ``BufferKeeper/tick()`` on a dispatcher, as long as that is wanted.
final class BufferTicker: CoroutinelessTask {
  private let keeper: BufferKeeper
  private let loop: CopasLoop

  init(_ keeper: BufferKeeper, _ loop: CopasLoop) {
    self.keeper = keeper
    self.loop = loop
  }

  override func run(_ call: LuaCall) -> LuaOutcome {
    call.count = 0
    guard keeper.tick() else {
      state = .finished
      return .results(0)
    }
    state = .atRest
    return loop.sleep(until: MonotonicTime.now() + BufferKeeper.tickInterval)
  }

  override func ended() {
    // It was ended, as by `copas.cancelall`.
    if state != .finished { keeper.ticksEnded() }
  }
}

extension BufferKeeper {
  /// The keeper of a server on a dispatcher.
  package static func make(_ limits: RPCLimits, on loop: CopasLoop) -> BufferKeeper {
    let keeper = BufferKeeper(limits, clock: { MonotonicTime.now() })
    keeper.startTicking = { [unowned keeper, unowned loop] in
      loop.startEvents(BufferTicker(keeper, loop))
    }
    return keeper
  }
}
