import CMilongaShims
import Glibc
import Synchronization

/// Work that blocks in a function that no signal ends, such as a look-up of a name.
package enum InterruptibleWork {
  /// What the thread that works and the one that waits share. The descriptor lives as long as one
  /// of them.
  private final class Shared<Answer: Sendable>: Sendable {
    let answer = Mutex<Answer?>(nil)
    /// Readable when the answer is there; -1 for none.
    let descriptor = eventfd(0, Int32(EFD_CLOEXEC))

    deinit { if descriptor >= 0 { close(descriptor) } }
  }

  /// Does the work on a thread of its own, and waits for its end. Without a thread or a descriptor
  /// to be had, the calling one does it.
  ///
  /// - Parameters:
  ///   - name: of the thread, at most 15 bytes.
  ///   - isInterrupted: asked after a signal.
  /// - Returns: nil when `isInterrupted` said so. What the work goes on to find is dropped.
  package static func run<Answer: Sendable>(
    named name: String, isInterrupted: () -> Bool, _ work: @escaping @Sendable () -> Answer
  ) -> Answer? {
    let shared = Shared<Answer>()
    guard shared.descriptor >= 0,
      startDetachedThread(
        named: name,
        {
          let answer = work()
          shared.answer.withLock { $0 = answer }
          var one: UInt64 = 1
          _ = write(shared.descriptor, &one, 8)
        })
    else { return work() }
    var polled = pollfd(fd: shared.descriptor, events: Int16(POLLIN), revents: 0)
    while poll(&polled, 1, -1) <= 0 {
      if errno == EINTR, isInterrupted() { return nil }
    }
    return shared.answer.withLock { $0 }
  }
}
