import MilongaTestSupport
import Testing

@testable import RPCRuntime

/// The answers of calls that run side by side.
@Suite struct AnswerOrderTests {
  @Test func theOldestLeavesAtOnce() {
    var order = AnswerOrder()
    #expect(order.isEmpty)
    let call = order.begin()
    #expect(order.isOldest(call))
    #expect(!order.isEmpty)
    order.end(call, []) { _ in Issue.record("nothing waits") }
    #expect(order.isEmpty)
    #expect(order.isOldest(order.begin()))
  }

  @Test func othersWait() {
    var order = AnswerOrder()
    let calls = (0..<3).map { _ in order.begin() }
    var left: [[UInt8]] = []
    order.append([9, 9])
    order.end(calls[2], [2]) { left.append($0) }
    order.end(calls[1], [1]) { left.append($0) }
    #expect(left == [])
    #expect(order.count == 4)
    #expect(order.bytes == 4)
    #expect(order.isOldest(calls[0]))
    order.end(calls[0], []) { left.append($0) }
    #expect(left == [[1], [2], [9, 9]])
    #expect(order.isEmpty)
    #expect(order.bytes == 0)
  }

  @Test func whatWasDroppedDoesNotLeave() {
    var order = AnswerOrder()
    let (first, second, third) = (order.begin(), order.begin(), order.begin())
    order.end(second, [1]) { _ in }
    order.dropAnswers()
    #expect(order.bytes == 0)
    #expect(order.count == 3)
    order.end(first, []) { _ in Issue.record("an answer leaves") }
    #expect(order.isOldest(third))
  }

  /// Calls end in any order: each answer leaves once, behind those of all calls before it.
  @Test(arguments: 1...20) func anyOrder(_ seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var order = AnswerOrder()
    var running: [(call: Int, answer: UInt16)] = []
    var left: [UInt16] = []
    var begun: UInt16 = 0
    func bytes(_ answer: UInt16) -> [UInt8] { [UInt8(answer >> 8), UInt8(answer & 255)] }
    func note(_ bytes: [UInt8]) { left.append(UInt16(bytes[0]) << 8 | UInt16(bytes[1])) }
    while begun < 1_000 || !running.isEmpty {
      switch Int.random(in: 0..<(begun < 1_000 ? 3 : 1), using: &generator) {
      case 0 where !running.isEmpty:
        let (call, answer) = running.remove(at: .random(in: running.indices, using: &generator))
        let isOldest = order.isOldest(call)
        if isOldest { left.append(answer) }
        order.end(call, isOldest ? [] : bytes(answer), leave: note)
      case 1:
        running.append((order.begin(), begun))
        begun += 1
      default:
        if order.isEmpty { left.append(begun) } else { order.append(bytes(begun)) }
        begun += 1
      }
    }
    #expect(left == Array(0..<begun))
    #expect(order.isEmpty && order.bytes == 0)
  }
}
