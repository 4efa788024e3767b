import MilongaIO
import MilongaScheduler

/// How many coroutines wait for other threads. The dispatcher looks in each turn; the number is not
/// in an object, which would be retained and released for each look. Its owner frees it.
struct OffThreadCount: BitwiseCopyable {
  private let place: UnsafeMutablePointer<Int>

  init() {
    place = .allocate(capacity: 1)
    place.initialize(to: 0)
  }

  var value: Int { place.pointee }

  fileprivate func add(_ change: Int) { place.pointee += change }

  func free() { place.deallocate() }
}

/// Work of one kind that other threads do for coroutines that wait.
final class OffThreadWork<Answer: Sendable> {
  private let mailbox: Mailbox<(ticket: Int, answer: Answer)>
  private var waiting: [Int: TaskID] = [:]
  private var answers: [Int: Answer] = [:]
  /// What is to be done when the work is abandoned.
  private var cancellations: [Int: () -> Void] = [:]
  private var lastTicket = 0
  private let pending: OffThreadCount

  /// - Parameter pending: where what is under way is counted.
  init(waker: ReadinessQueue.Waker, _ pending: OffThreadCount) {
    mailbox = Mailbox(waker: waker)
    self.pending = pending
  }

  var isEmpty: Bool { waiting.isEmpty }

  /// Begins work on another thread; `task` is woken when the answer is there.
  ///
  /// - Parameter work: calls the function that it is given once, on any thread. What it returns is
  ///   called when the answer is not wanted any more.
  func start(
    for task: TaskID, _ work: (_ answer: @escaping @Sendable (Answer) -> Void) -> (() -> Void)?
  ) -> Int {
    lastTicket += 1
    let ticket = lastTicket
    waiting[ticket] = task
    pending.add(1)
    let mailbox = mailbox
    cancellations[ticket] = work { mailbox.send((ticket, $0)) }
    return ticket
  }

  /// The answer, nil while there is none.
  func takeAnswer(_ ticket: Int) -> Answer? { answers.removeValue(forKey: ticket) }

  /// The answer is not wanted any more.
  func abandon(_ ticket: Int) {
    if waiting.removeValue(forKey: ticket) != nil { pending.add(-1) }
    answers[ticket] = nil
    cancellations.removeValue(forKey: ticket)?()
  }

  /// The answers for tasks that are gone are not wanted any more.
  func abandonUnwanted(exists: (TaskID) -> Bool) {
    for (ticket, task) in waiting where !exists(task) { abandon(ticket) }
  }

  /// Wakes the tasks whose answers have come.
  ///
  /// - Parameter wake: false when the task is gone.
  func deliver(_ wake: (TaskID) -> Bool) {
    guard !waiting.isEmpty else { return }
    for (ticket, answer) in mailbox.collect() {
      guard let task = waiting.removeValue(forKey: ticket) else { continue }
      pending.add(-1)
      cancellations[ticket] = nil
      if wake(task) { answers[ticket] = answer }
    }
  }

  /// No thread touches the loop from now on.
  func close() { mailbox.close() }
}
