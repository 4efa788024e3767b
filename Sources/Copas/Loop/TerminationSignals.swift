import CMilongaLua
import CMilongaShims
import Glibc
import MilongaIO
import MilongaLua
import MilongaScheduler

/// SIGINT and SIGTERM while `copas.loop` runs. They announce the exit, and end the process when a
/// turn does not come back: a thread is in `socket.sleep`, in a C function, or in an endless loop.
final class TerminationSignals {
  unowned(unsafe) var loop: CopasLoop!
  /// The loop has taken over the signals.
  private(set) var isTaken = false
  /// Seconds that a turn may last after one of them; 0 for ever.
  private var turnLimit = 0.0

  /// The loop begins: it takes over the signals, if no other one has them.
  func take() {
    isTaken = loop.readiness.waker.catchTermination()
    keepTurns()
  }

  /// The loop has ended.
  func giveBack() {
    if isTaken { loop.readiness.waker.releaseTermination() }
    isTaken = false
  }

  /// From now on a turn that does not come back within `copas.exittimeout` seconds of the signal,
  /// or of its later beginning, ends the process by that signal.
  func keepTurns() {
    guard isTaken else { return }
    let main = loop.main
    loop.module.table.push(onto: main)
    main.pushField("exittimeout", of: -1)
    let seconds = main.numberIfNumber(at: -1) ?? 0
    main.pop(2)
    turnLimit = seconds > 0 && seconds < .infinity ? seconds : 0
    milonga_keep_turns(
      turnLimit == 0 ? 0 : max(1, MonotonicTime.deadline(after: turnLimit, from: 0)),
      milonga_turn_keeper(
        loop: Unmanaged.passUnretained(loop).toOpaque(),
        running: { Unmanaged<CopasLoop>.fromOpaque($0!).takeUnretainedValue().turn.coroutine },
        report: { loop, signal, computing in
          Unmanaged<CopasLoop>.fromOpaque(loop!).takeUnretainedValue()
            .termination.report(signal, computing)
        }))
  }

  /// A turn begins after the signal.
  @inline(never)
  func limitTurn() {
    if isTaken { milonga_limit_turn(1) }
  }

  /// Says whose turn it is. The process ends then.
  ///
  /// - Parameter computing: the coroutine that Lua is running; nil in a signal handler, while a C
  ///   function does not return.
  private func report(_ signal: Int32, _ computing: OpaquePointer?) {
    let main = loop.main
    let name = signal == SIGINT ? "SIGINT" : "SIGTERM"
    let turn = loop.current.map { "thread '\(loop.names.ofThread($0))'" } ?? "the dispatcher"
    writeLine(
      "copas: \(name): \(turn) has not come back for \(turnLimit) s (copas.exittimeout), which ends the process"
    )
    guard let stuck = computing ?? loop.turn.coroutine, main.reserve(8) else { return }
    luaL_traceback(main.state, stuck, nil, 0)
    writeLine(main.stringIfString(at: -1) ?? "")
  }
}
