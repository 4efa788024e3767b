import Scheduler

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

  /// Nobody exists, and nothing is counted.
  var isEmpty: Bool {
    taskCount == 0 && waitingForDescriptor == 0 && sleeping == 0 && readyCount == 0
  }
}

/// A small seeded generator (SplitMix64), so that a failure can be run again.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// A generator with a new seed, which is printed.
  init(for test: String) {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("\(test): seed \(seed)")
    self.init(seed: seed)
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }

  mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
}
