import MilongaIO
import MilongaScheduler

/// Work that other threads do for coroutines that wait: names being looked up, Swift functions.
final class OffThreadWork<Answer: Sendable> {
  private let mailbox: Mailbox<(ticket: Int, answer: Answer)>
  private var waiting: [Int: TaskID] = [:]
  private var answers: [Int: Answer] = [:]
  /// What is to be done when the work is abandoned.
  private var cancellations: [Int: () -> Void] = [:]
  private var lastTicket = 0

  init(waker: ReadinessQueue.Waker) { mailbox = Mailbox(waker: waker) }

  var isEmpty: Bool { waiting.isEmpty }

  /// Begins work on another thread; `task` is woken when the answer is there.
  ///
  /// - Parameter work: calls the function that it is given once, on any thread. What it returns is called when nobody
  ///   wants the answer any more.
  func start(
    for task: TaskID, _ work: (_ answer: @escaping @Sendable (Answer) -> Void) -> (() -> Void)?
  ) -> Int {
    lastTicket += 1
    let ticket = lastTicket
    waiting[ticket] = task
    let mailbox = mailbox
    cancellations[ticket] = work { mailbox.send((ticket, $0)) }
    return ticket
  }

  /// The answer, nil while there is none.
  func takeAnswer(_ ticket: Int) -> Answer? { answers.removeValue(forKey: ticket) }

  /// Nobody wants the answer any more.
  func abandon(_ ticket: Int) {
    waiting[ticket] = nil
    answers[ticket] = nil
    cancellations.removeValue(forKey: ticket)?()
  }

  /// Nobody wants the answers any more that are for tasks which are gone.
  func abandonUnwanted(exists: (TaskID) -> Bool) {
    for (ticket, task) in waiting where !exists(task) { abandon(ticket) }
  }

  /// Wakes those whose answers have come.
  ///
  /// - Parameter wake: false when the task is gone.
  func deliver(_ wake: (TaskID) -> Bool) {
    guard !waiting.isEmpty else { return }
    for (ticket, answer) in mailbox.collect() {
      guard let task = waiting.removeValue(forKey: ticket) else { continue }
      cancellations[ticket] = nil
      if wake(task) { answers[ticket] = answer }
    }
  }

  /// No thread touches the loop from now on.
  func close() { mailbox.close() }
}
