import CMilongaShims
import Glibc

/// Ctrl-C while Lua code runs: the code fails with `interrupted!`. A second Ctrl-C, before the code
/// came to notice the first, ends the process.
enum Interrupt {
  /// The state that runs now. Read by the signal handler.
  nonisolated(unsafe) private static var running: OpaquePointer?

  /// Runs `body`, which runs code in `state`.
  static func interruptible(_ state: OpaquePointer, _ body: () -> Int32) -> Int32 {
    running = state
    handle { _ in
      Interrupt.handle(SIG_DFL)
      milonga_interrupt(Interrupt.running)
    }
    defer { handle(SIG_DFL) }
    return body()
  }

  /// Sets the handler without SA_RESTART, so that a blocking read ends.
  private static func handle(_ handler: sighandler_t?) {
    var action = sigaction()
    action.__sigaction_handler.sa_handler = handler
    sigemptyset(&action.sa_mask)
    sigaction(SIGINT, &action, nil)
  }
}
