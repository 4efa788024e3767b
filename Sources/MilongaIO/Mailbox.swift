import Synchronization

/// Results that other threads hand to a loop: they are collected and the loop's wait ends.
package final class Mailbox<Message: Sendable>: Sendable {
  private struct State {
    var messages: [Message] = []
    var isClosed = false
  }

  private let state = Mutex(State())
  private let waker: ReadinessQueue.Waker

  /// - Parameter waker: wakes the loop that will collect. The loop must outlive the senders' use of
  ///   the mailbox, or ``close()`` it.
  package init(waker: ReadinessQueue.Waker) { self.waker = waker }

  /// Leaves a message; from any thread. Dropped after ``close()``.
  package func send(_ message: Message) {
    state.withLock { state in
      guard !state.isClosed else { return }
      state.messages.append(message)
      // Under the lock, so that none is woken after ``close()``.
      waker.wake()
    }
  }

  /// Takes what was left since the last time.
  package func collect() -> [Message] {
    state.withLock { state in
      let messages = state.messages
      state.messages = []
      return messages
    }
  }

  /// Nothing is accepted, and the loop is not woken, from now on. What was left can be collected.
  package func close() { state.withLock { $0.isClosed = true } }
}
