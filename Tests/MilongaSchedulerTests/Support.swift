@testable import MilongaScheduler

/// What a test can compare a turn with.
struct Ran: Equatable, CustomStringConvertible {
  let task: TaskID
  let reason: WakeReason

  init(_ task: TaskID, _ reason: WakeReason) {
    self.task = task
    self.reason = reason
  }

  var description: String { "\(task.index) \(reason)" }
}

extension Scheduler {
  /// Gives everybody who is ready a turn; who it was. They are left running.
  func turns() -> [Ran] {
    var turns: [Ran] = []
    runTurns { turns.append(Ran($0.task, $0.reason)) }
    return turns
  }

  /// A new task that waits for a descriptor.
  func parked(
    on descriptor: Int32, _ direction: Direction = .read, deadline: Int64 = .max
  ) -> TaskID {
    let task = spawn()
    park(task, on: descriptor, direction, deadline: deadline)
    return task
  }

  /// A new task that sleeps.
  func asleep(until deadline: Int64) -> TaskID {
    let task = spawn()
    sleep(task, until: deadline)
    return task
  }

  /// The descriptor became ready in this direction.
  func notify(_ descriptor: Int32, _ generation: UInt32, _ directions: Direction...) {
    notify(
      descriptor: descriptor, generation: generation, readable: directions.contains(.read),
      writable: directions.contains(.write), hangup: false)
  }

  /// No task exists, and nothing is counted.
  var isEmpty: Bool {
    taskCount == 0 && waitingForDescriptor == 0 && sleeping == 0 && readyCount == 0
  }
}

extension Scheduler {
  /// Whether a task waits for the descriptor.
  func hasWaiter(_ descriptor: Int32, _ direction: Direction) -> Bool {
    descriptors.firstWaiter(on: descriptor, direction) != nil
  }
}

extension Deadlines {
  var count: Int { heap.count }
}
