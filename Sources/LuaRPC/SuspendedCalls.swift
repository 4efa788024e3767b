import MilongaScheduler

/// The other side's calls whose functions wait for something, by the workers that run them.
struct SuspendedCalls {
  private var sequences: [TaskID: UInt8] = [:]
  /// Bytes of the large ones among the calls.
  private var large: [TaskID: Int] = [:]

  /// Calls that may wait at once: as many as there are sequence numbers.
  static let limit = 256

  /// Bytes of the large calls that wait.
  var largeBytes: Int { large.isEmpty ? 0 : large.values.reduce(0, +) }

  /// A function waits.
  ///
  /// - Parameter bytes: the size of its call; 0 when it is not a large one.
  /// - Returns: false, with nothing changed, when too many wait already.
  mutating func add(_ worker: TaskID, sequence: UInt8, bytes: Int) -> Bool {
    guard sequences.count < Self.limit else { return false }
    sequences[worker] = sequence
    if bytes > 0 { large[worker] = bytes }
    return true
  }

  /// The worker's call is over.
  ///
  /// - Returns: its sequence number, nil if its caller has left or it never waited; and whether it was large.
  mutating func remove(_ worker: TaskID) -> (sequence: UInt8?, wasLarge: Bool) {
    let sequence = sequences.removeValue(forKey: worker)
    guard !large.isEmpty else { return (sequence, false) }
    return (sequence, large.removeValue(forKey: worker) != nil)
  }

  /// The callers have left. Calls count as large until they are over.
  ///
  /// - Returns: the workers of the calls.
  mutating func leave() -> [TaskID] {
    defer { sequences = [:] }
    return Array(sequences.keys)
  }

  /// The worker is going to be ended, and its call with it.
  mutating func forget(_ worker: TaskID) { large[worker] = nil }
}
