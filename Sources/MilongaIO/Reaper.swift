import DequeModule
import Glibc
import Synchronization

/// Waits for the end of processes that were killed and abandoned, so that no zombies remain. The
/// thread that does it ends when there is nothing left to wait for.
enum Reaper {
  private struct State {
    var descriptors = Deque<Int32>()
    var isRunning = false
  }

  private static let state = Mutex(State())

  /// Takes over a process by its pidfd.
  static func adopt(_ descriptor: Int32) {
    let startThread = state.withLock { state in
      state.descriptors.append(descriptor)
      defer { state.isRunning = true }
      return !state.isRunning
    }
    // Without a thread the caller waits: what was killed ends soon.
    if startThread, !startDetachedThread(named: "reaper", { run() }) { run() }
  }

  private static func run() {
    while true {
      let next: Int32? = state.withLock { state in
        let next = state.descriptors.popFirst()
        if next == nil { state.isRunning = false }
        return next
      }
      guard let next else { return }
      _ = Process.wait(next, block: true)
      close(next)
    }
  }
}
