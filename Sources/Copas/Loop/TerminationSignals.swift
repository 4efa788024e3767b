import CMilongaLua
import CMilongaShims
import Glibc
import MilongaIO
import MilongaLua
import MilongaScheduler

// SIGINT and SIGTERM find a turn that does not end: a thread in `socket.sleep`, in a C function, or in an endless loop.
extension CopasLoop {
  /// From now on a turn that does not come back within `copas.exittimeout` seconds of the signal, or of its later
  /// beginning, ends the process by that signal.
  func keepTurns() {
    main.pushRetained(moduleReference)
    main.pushField("exittimeout", of: -1)
    let seconds = main.numberIfNumber(at: -1) ?? 0
    main.pop(2)
    exitTimeout = seconds > 0 && seconds < .infinity ? seconds : 0
    milonga_keep_turns(
      exitTimeout == 0 ? 0 : max(1, MonotonicTime.deadline(after: exitTimeout, from: 0)),
      milonga_turn_keeper(
        loop: Unmanaged.passUnretained(self).toOpaque(),
        running: { Unmanaged<CopasLoop>.fromOpaque($0!).takeUnretainedValue().currentCoroutine },
        report: { loop, signal, computing in
          Unmanaged<CopasLoop>.fromOpaque(loop!).takeUnretainedValue()
            .reportTurn(signal, computing)
        }))
  }

  /// A turn begins after the signal.
  @inline(never)
  func limitTurn() {
    if catchesSignals { milonga_limit_turn(1) }
  }

  /// Says whose turn it is. The process ends then.
  ///
  /// - Parameter computing: the coroutine that Lua is running; nil in a signal handler, while a C function does not
  ///   return.
  private func reportTurn(_ signal: Int32, _ computing: OpaquePointer?) {
    let who = current.map { "thread '\(threadName(of: $0))'" } ?? "the dispatcher"
    let name = signal == SIGINT ? "SIGINT" : "SIGTERM"
    writeLine(
      "copas: \(name): \(who) has not come back for \(exitTimeout) s (copas.exittimeout), which ends the process"
    )
    guard let stuck = computing ?? currentCoroutine, main.reserve(8) else { return }
    luaL_traceback(main.state, stuck, nil, 0)
    writeLine(main.stringIfString(at: -1) ?? "")
  }
}
