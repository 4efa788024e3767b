import MilongaIO
import Testing

@Suite(.timeLimit(.minutes(1)))
struct MailboxTests {
  @Test func `messages are collected once, in order`() throws {
    let queue = try ReadinessQueue()
    let mailbox = Mailbox<Int>(waker: queue.waker)
    #expect(mailbox.collect() == [])
    for number in 0..<100 { mailbox.send(number) }
    #expect(mailbox.collect() == Array(0..<100))
    #expect(mailbox.collect() == [])
    mailbox.send(100)
    #expect(mailbox.collect() == [100])
  }

  @Test func `a message ends the wait`() throws {
    let queue = try ReadinessQueue()
    let mailbox = Mailbox<String>(waker: queue.waker)
    var received: [String] = []
    let turn = Signal()
    withThread {
      for number in 0..<500 {
        turn.wait()
        mailbox.send("\(number)")
      }
    } _: {
      for _ in 0..<500 {
        turn.raise()
        #expect(throws: Never.self) { try queue.wait(milliseconds: patience) { _ in } }
        received += mailbox.collect()
      }
    }
    #expect(received == (0..<500).map { "\($0)" })
  }

  @Test func `several threads can send`() throws {
    let queue = try ReadinessQueue()
    let mailbox = Mailbox<Int>(waker: queue.waker)
    var received: [Int] = []
    withThread {
      for number in 0..<5000 { mailbox.send(number * 2) }
    } _: {
      withThread {
        for number in 0..<5000 { mailbox.send(number * 2 + 1) }
      } _: {
        while received.count < 10_000 {
          #expect(throws: Never.self) { try queue.wait(milliseconds: patience) { _ in } }
          let messages = mailbox.collect()
          received += messages
        }
      }
    }
    #expect(received.filter { $0 % 2 == 0 } == (0..<5000).map { $0 * 2 })
    #expect(received.filter { $0 % 2 == 1 } == (0..<5000).map { $0 * 2 + 1 })
  }

  @Test func `a closed mailbox takes nothing, and wakes nobody`() throws {
    let queue = try ReadinessQueue()
    let mailbox = Mailbox<Int>(waker: queue.waker)
    mailbox.send(1)
    try queue.wait(milliseconds: patience) { _ in }
    mailbox.close()
    mailbox.send(2)
    let start = MonotonicTime.now()
    try queue.wait(milliseconds: 5) { _ in }
    #expect(MonotonicTime.now() - start >= 5_000_000)
    #expect(mailbox.collect() == [1])
    #expect(mailbox.collect() == [])
  }

  @Test func `what was collected is freed`() throws {
    final class Message: Sendable {}
    let queue = try ReadinessQueue()
    let mailbox = Mailbox<Message>(waker: queue.waker)
    weak var message: Message?
    do {
      let sent = Message()
      message = sent
      mailbox.send(sent)
    }
    #expect(message != nil)
    #expect(mailbox.collect().count == 1)
    #expect(message == nil)
  }
}
