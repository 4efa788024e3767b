import Dispatch
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// Batches of calls that compute, for a server on one event loop: what its functions do, and
/// clients that send bytes.
///
/// All that is to be looked at arrives while a function, `hold`, keeps the event loop: so no result
/// depends on when a task of the test has its turn.
public final class Batch: Sendable {
  public let begun = Tally()
  private let held = Tally()
  private let marked = Tally()
  private let marks = NIOLockedValueBox<[Int]>([])
  private let gate = DispatchSemaphore(value: 0)

  public init() {}

  // MARK: What the server's functions do

  /// Waits until the test goes on.
  public func hold() -> Int {
    held.add()
    gate.wait()
    return 0
  }

  /// Computes for 5 ms, and counts.
  public func compute() -> Int {
    begun.add()
    let clock = ContinuousClock()
    let end = clock.now.advanced(by: .milliseconds(5))
    while clock.now < end {}
    return begun.count
  }

  /// Notes how many computations have begun.
  public func mark() -> Int {
    let count = begun.count
    marks.withLockedValue { $0.append(count) }
    marked.add()
    return count
  }

  // MARK: What clients send

  /// The bytes of calls without arguments.
  public struct Calls: Sendable {
    public let hold: [UInt8]
    public let compute: [UInt8]
    public let mark: [UInt8]

    public init(hold: [UInt8], compute: [UInt8], mark: [UInt8]) {
      self.hold = hold
      self.compute = compute
      self.mark = mark
    }
  }

  /// So many clients have so many computations each under way, and then another client calls
  /// `mark`.
  ///
  /// - Returns: how many computations had begun when `mark` ran. They have all ended.
  public func computationsBeforeAnother(
    port: Int, clients: Int = 1, computations: Int, _ calls: Calls
  ) async throws -> Int {
    let other = try await connect(port)
    try await other.writeAndFlush(ByteBuffer(bytes: calls.mark))
    await marked.reach(1)
    var busy: [any Channel] = []
    for _ in 0..<clients { busy.append(try await connect(port)) }
    let batch = Array([[UInt8]](repeating: calls.compute, count: computations).joined())
    try await busy[0].writeAndFlush(ByteBuffer(bytes: calls.hold + batch))
    await held.reach(1)
    for client in busy.dropFirst() { try await client.writeAndFlush(ByteBuffer(bytes: batch)) }
    try await other.writeAndFlush(ByteBuffer(bytes: calls.mark))
    gate.signal()
    await marked.reach(2)
    await begun.reach(clients * computations)
    for channel in busy + [other] { try await channel.close() }
    return marks.withLockedValue { $0[1] }
  }

  /// Sends computations with `hold` behind them, and lets that end when an answer has come.
  public func answersLeaveBeforeTheEnd(
    port: Int, computations: Int, _ calls: Calls
  ) async throws {
    let answers = Tally()
    let client = try await connect(port, answers)
    let batch = Array([[UInt8]](repeating: calls.compute, count: computations).joined())
    try await client.writeAndFlush(ByteBuffer(bytes: batch + calls.hold))
    await answers.reach(1)
    gate.signal()
    await begun.reach(computations)
    try await client.close()
  }

  private func connect(_ port: Int, _ received: Tally = Tally()) async throws -> any Channel {
    try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Receiver(received))
        }
      }
      .connect(host: "127.0.0.1", port: port).get()
  }
}

private final class Receiver: ChannelInboundHandler, Sendable {
  typealias InboundIn = ByteBuffer
  private let received: Tally

  init(_ received: Tally) { self.received = received }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    received.add(unwrapInboundIn(data).readableBytes)
  }
}
