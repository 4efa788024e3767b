import MilongaScheduler

/// Has something to do when a coroutine has had its turn, such as to send what the turn left
/// behind.
package protocol TurnEndObserver: AnyObject {
  func turnEnded()
}

/// Has something to do when all tasks that were ready have had their turns, such as to send in one
/// go what they left behind.
package protocol RoundEndObserver: AnyObject {
  func roundEnded()
}

/// Has something to do when a coroutine has ended, or begins to wait.
package protocol ThreadObserver: AnyObject {
  func ended(_ task: TaskID)
  /// The function that the coroutine runs waits for something.
  func waits(_ task: TaskID)
}

extension ThreadObserver {
  package func waits(_ task: TaskID) {}
}

/// The observers that are told once, at the end of a round.
struct RoundEndObservers {
  private var waiting: [any RoundEndObserver] = []
  /// Those that are being told, and the memory for the next ones.
  private var told: [any RoundEndObserver] = []

  var isEmpty: Bool { waiting.isEmpty }

  mutating func add(_ observer: some RoundEndObserver) { waiting.append(observer) }

  /// The observers that are to be told now. An observer that is added from here on is told the next
  /// time.
  mutating func takeThoseToTell() -> [any RoundEndObserver] {
    swap(&waiting, &told)
    return told
  }

  mutating func forgetToldOnes() { told.removeAll(keepingCapacity: true) }
}

/// Observers of coroutines, by their numbers from 1: a task's record has room for no more than a
/// number.
struct ThreadObservers {
  private var observers: [(any ThreadObserver)?] = []
  private var free: [Int32] = []

  /// The observer's number, 0 for none. A number that was given up does no harm.
  subscript(number: Int32) -> (any ThreadObserver)? {
    number == 0 ? nil : observers[Int(number) - 1]
  }

  mutating func add(_ observer: some ThreadObserver) -> Int32 {
    if let number = free.popLast() {
      observers[Int(number) - 1] = observer
      return number
    }
    observers.append(observer)
    return Int32(observers.count)
  }

  /// Their numbers stand for no observers from now on.
  mutating func takeAll() -> [(any ThreadObserver)?] {
    let all = observers
    observers = Array(repeating: nil, count: all.count)
    return all
  }

  mutating func remove(_ number: Int32) {
    observers[Int(number) - 1] = nil
    free.append(number)
  }
}

extension CopasLoop {
  /// Tells the observer once every task that is ready now has had a turn.
  package func observeRoundEnd(by observer: some RoundEndObserver) {
    roundEndObservers.add(observer)
  }

  func tellRoundEnd() {
    for observer in roundEndObservers.takeThoseToTell() { observer.roundEnded() }
    roundEndObservers.forgetToldOnes()
  }

  /// Gives an observer a number other than 0, for ``observeRemoval(by:)``. It is kept alive until
  /// ``removeObserver(_:)``.
  package func addObserver(_ observer: some ThreadObserver) -> Int32 {
    threadObservers.add(observer)
  }

  package func removeObserver(_ number: Int32) { threadObservers.remove(number) }

  /// From now on the observer is told when the running coroutine is removed while it waits; 0 is no
  /// observer.
  @inline(__always)
  public func observeRemoval(by number: Int32) {
    if let current { tasks[current].removalObserver = number }
  }

  /// From now on the observer is told when this turn of the running coroutine ends because it
  /// waits; 0 is no observer.
  @inline(__always)
  public func observeWait(by number: Int32) {
    if let current { tasks[current].waitObserver = number }
  }

  /// The observer is told when the task has ended.
  package func observeEnd(of task: TaskID, by number: Int32) {
    if scheduler.exists(task) { tasks[task].endObserver = number }
  }

  /// No observer is told when the task's turn ends.
  package func forgetWaitObserver(of task: TaskID) {
    if scheduler.exists(task) { tasks[task].waitObserver = 0 }
  }

  @inline(never)
  func tellWait(of task: TaskID) {
    let number = tasks[task].waitObserver
    tasks[task].waitObserver = 0
    threadObservers[number]?.waits(task)
  }

  func tell(_ number: Int32, endOf task: TaskID) { threadObservers[number]?.ended(task) }
}
