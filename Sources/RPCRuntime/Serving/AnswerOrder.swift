import DequeModule

/// Puts the answers of calls that run side by side into the order of the calls.
///
/// The answer to the oldest call leaves at once. All others wait here until those before them have
/// left. While no function runs there is nothing here, and answers leave as they are written.
package struct AnswerOrder {
  private enum Place {
    /// The call's function runs.
    case running
    /// The answer, which waits for an earlier one.
    case answered([UInt8])
  }

  private var places: Deque<Place> = []
  /// The number of the oldest call.
  private var first = 0
  /// Calls that have no answer, or whose answers wait.
  package private(set) var count = 0
  /// Bytes of answers that wait.
  package private(set) var bytes = 0

  package init() {}

  /// Whether answers leave as they are written.
  package var isEmpty: Bool { count == 0 }

  /// A call has begun, whose function runs as a task.
  ///
  /// - Returns: its number.
  package mutating func begin() -> Int {
    places.append(.running)
    count += 1
    return first + count - 1
  }

  /// Whether the answer to the call may leave.
  package func isOldest(_ call: Int) -> Bool { call == first }

  /// A call that came behind those that run has been answered.
  package mutating func append(_ answer: [UInt8]) {
    assert(count > 0, "an answer waits for another one")
    places.append(.answered(answer))
    count += 1
    bytes += answer.count
  }

  /// The function of a call has ended.
  ///
  /// - Parameters:
  ///   - answer: what has to wait; empty when the call is the oldest, because its answer leaves.
  ///   - leave: gets the answers, one by one, which waited for this one alone.
  package mutating func end(_ call: Int, _ answer: [UInt8], leave: ([UInt8]) -> Void) {
    places[call - first] = .answered(answer)
    bytes += answer.count
    while case .answered(let next) = places.first {
      places.removeFirst()
      first += 1
      count -= 1
      bytes -= next.count
      if !next.isEmpty { leave(next) }
    }
  }

  /// Forgets the answers that wait, because the peer will not get them.
  package mutating func dropAnswers() {
    for index in places.indices {
      if case .answered = places[index] { places[index] = .answered([]) }
    }
    bytes = 0
  }
}
