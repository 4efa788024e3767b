import DequeModule
import MilongaRPC

/// The answers of one connection that cannot leave yet: the call before them still runs. Clients of
/// the original take the answers in the order of their calls.
///
/// ```
/// call 1 waits        call 2, call 3     call 4 waits
/// [ no answer yet ]   [ 2 answers ]      [ no answer yet ]
/// ```
struct HeldAnswers {
  /// The answer of a call that waits, or those of the calls behind it that did not wait.
  final class Part {
    var output: MessageOutput
    /// Nothing is added any more by a call that runs.
    fileprivate(set) var isWhole: Bool
    /// Bytes of the call, when it is large.
    let serving: Int

    init(_ output: consuming MessageOutput, isWhole: Bool, serving: Int) {
      self.output = output
      self.isWhole = isWhole
      self.serving = serving
    }
  }

  private var parts: Deque<Part> = []
  /// Bytes of the answers.
  private(set) var bytes = 0

  /// What is answered next leaves at once.
  var isEmpty: Bool { parts.isEmpty }

  /// A call waits. Its answer goes into this part, and then ``close(_:)`` it.
  ///
  /// - Parameter serving: bytes of the call, when it is large.
  mutating func open(_ output: consuming MessageOutput, serving: Int) -> Part {
    let part = Part(output, isWhole: false, serving: serving)
    parts.append(part)
    return part
  }

  /// The answer of the call is there.
  mutating func close(_ part: Part) {
    part.isWhole = true
    if parts.contains(where: { $0 === part }) { bytes += part.output.count }
  }

  /// Collects answers of calls behind the one that waits.
  ///
  /// - Parameter makeOutput: makes the place for them when there is none.
  mutating func collect<Result>(
    _ makeOutput: () -> MessageOutput, _ body: (inout MessageOutput) -> Result
  ) -> Result {
    if parts.last?.isWhole != true {
      parts.append(Part(makeOutput(), isWhole: true, serving: 0))
    }
    let part = parts.last!
    let before = part.output.count
    defer { bytes += part.output.count - before }
    return body(&part.output)
  }

  /// Moves the answers that may leave to those that are sent; whether there was memory for that.
  mutating func moveWhole(to output: inout MessageOutput) -> Bool {
    while let part = parts.first, part.isWhole {
      parts.removeFirst()
      bytes -= part.output.count
      guard output.takeAll(from: &part.output) else { return false }
    }
    return true
  }

  /// Nothing behind this part will leave; false when the part itself will not.
  mutating func drop(behind part: Part) -> Bool {
    guard parts.contains(where: { $0 === part }) else { return false }
    while let last = parts.last, last !== part {
      parts.removeLast()
      if last.isWhole { bytes -= last.output.count }
    }
    return true
  }

  /// Nothing of this will leave.
  mutating func dropAll() {
    parts = []
    bytes = 0
  }
}
