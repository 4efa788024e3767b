import MilongaScheduler
import Testing

@testable import LuaTango

/// Connections that are made, by one coroutine for all, without a socket and without a clock.
@Suite("Attempts to connect")
struct ConnectionAttemptsTests {
  private let a = TaskID(bits: 1)
  private let b = TaskID(bits: 2)
  private let c = TaskID(bits: 3)

  private func attempts(
    by maker: TaskID?, until deadline: Int64 = .max, isFirst: Bool = false
  ) -> ConnectionAttempts {
    var attempts = ConnectionAttempts()
    attempts.begin(
      ConnectionAttempts.Attempt(maker: maker, base: 1, deadline: deadline, isFirst: isFirst))
    return attempts
  }

  @Test func `one makes the connection and the others wait`() {
    var attempts = ConnectionAttempts()
    expect(attempts.join(a) == .make)
    attempts = self.attempts(by: a)
    expect(attempts.isMadeByCoroutine)
    expect(attempts.join(b) == .wait)
    expect(attempts.join(c) == .wait)
    expect(attempts.join(nil) == .refused)
    expect(attempts.succeeded() == [b, c])
    expect(attempts.current == nil && attempts.join(b) == .make)
  }

  @Test func `the program itself is no coroutine`() {
    let attempts = attempts(by: nil)
    expect(attempts.current != nil && !attempts.isMadeByCoroutine)
  }

  @Test func `the first attempt is not repeated`() {
    var attempts = attempts(by: a, isFirst: true)
    expect(attempts.failed(0, part: 1) == nil)
  }

  @Test func `pauses become longer, up to a limit`() {
    var attempts = attempts(by: a)
    let pauses = (0..<9).map { _ in attempts.failed(0, part: 1)! / 1_000_000 }
    expect(pauses == [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000])
    expect(attempts.failed(1_000_000_000, part: 0.5) == 3_500_000_000)
    // Success makes them short again.
    _ = attempts.succeeded()
    attempts.begin(
      ConnectionAttempts.Attempt(maker: a, base: 1, deadline: .max, isFirst: false))
    expect(attempts.failed(0, part: 1) == 50_000_000)
  }

  @Test func `there is no pause beyond the deadline`() {
    var attempts = attempts(by: a, until: 100_000_000)
    expect(attempts.failed(0, part: 1) == 50_000_000)
    expect(attempts.failed(50_000_000, part: 1) == nil)
    expect(attempts.join(b) == .wait)
    expect(attempts.end() == [b])
  }

  @Test func `the last attempt comes just before the deadline`() {
    var attempts = attempts(by: a, until: 1_000_000_000)
    expect(attempts.failed(0, part: 1) == 50_000_000)
    expect(attempts.failed(850_000_000, part: 1) == 900_000_000)
    expect(attempts.failed(900_000_000, part: 1) == nil)
  }

  @Test func `others go on when the coroutine that makes it is removed`() {
    var attempts = attempts(by: a)
    expect(attempts.join(b) == .wait)
    expect(attempts.join(c) == .wait)
    expect(attempts.removed(b) == nil)
    expect(attempts.removed(a) == [c])
    expect(attempts.current == nil)
    expect(attempts.removed(c) == nil)
  }
}

/// Which remote objects the server is told of.
@Suite("References to remote objects")
struct RemoteReferencesTests {
  private func with<Result>(_ id: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    Array(id.utf8).withUnsafeBytes(body)
  }

  @Test func `the server is told once`() {
    var references = RemoteReferences(serverNoticesEnd: true)
    expect(with("a") { references.abandon($0, generation: 0) })
    expect(!with("b") { references.abandon($0, generation: 0) })
    expect(references.takeAbandoned() == [Array("a".utf8), Array("b".utf8)])
    expect(references.takeAbandoned().isEmpty)
    references.putBack([Array("b".utf8)])
    expect(references.takeAbandoned() == [Array("b".utf8)])
  }

  @Test func `an id of an earlier connection means nothing`() {
    var references = RemoteReferences(serverNoticesEnd: true)
    _ = with("a") { references.abandon($0, generation: 0) }
    references.connectionEnded()
    expect(references.generation == 1 && references.takeAbandoned().isEmpty)
    expect(!with("a") { references.abandon($0, generation: 0) })
    expect(with("a") { references.abandon($0, generation: 1) })
  }

  @Test func `a server that does not notice the end is told of all`() {
    var references = RemoteReferences(serverNoticesEnd: false)
    for id in ["a", "b", "c"] { with(id) { references.hold($0) } }
    with("a") { references.letGo($0) }
    _ = with("b") { references.abandon($0, generation: 0) }
    references.connectionEnded()
    expect(references.generation == 0)
    expect(Set(references.takeAll()) == [Array("b".utf8), Array("c".utf8)])
    expect(references.takeAll().isEmpty)
  }
}
