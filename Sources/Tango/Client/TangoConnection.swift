import MilongaRPC
import NIOConcurrencyHelpers
import NIOCore
import NIOSSL
import RPCRuntime

/// One connection of a client. Calls are written by the tasks that make them, one behind the other
/// into one buffer, which leaves as a whole in the next turn of the event loop; answers come in the
/// order of the calls.
final class TangoConnection: ChannelInboundHandler, @unchecked Sendable {
  typealias InboundIn = ByteBuffer

  let peer: String
  let eventLoop: any EventLoop
  private let limits: RPCLimits
  private let lock = NIOLock()
  private var shared: Shared

  /// What the tasks that call and the event loop share.
  private struct Shared: ~Copyable {
    var writer = TangoTextWriter()
    var calls: CallsInFlight<PendingCall>
    var isFlushScheduled = false
    var end: TangoError?

    init(limit: Int) { calls = CallsInFlight(limit: limit) }
  }

  // The rest belongs to the event loop.
  private var context: ChannelHandlerContext?
  private var reader: FrameReader
  private let elements = MessageElements()
  private var timer: Scheduled<Void>?
  private var timerDeadline = Int64.max

  init(peer: String, eventLoop: any EventLoop, limits: RPCLimits) {
    self.peer = peer
    self.eventLoop = eventLoop
    self.limits = limits
    shared = Shared(limit: limits.callsInFlight)
    reader = FrameReader(maxBytes: limits.frameBytes)
  }

  var isOpen: Bool { lock.withLock { shared.end == nil } }

  /// Calls that await their answers.
  var callsInFlight: Int { lock.withLock { shared.calls.count } }

  // MARK: Calling

  /// Sends the call; it succeeds, or fails, exactly once.
  func start(_ call: PendingCall, _ arguments: [EncodedValue]) {
    var mustFlush = false
    let failure: (any Error)? = lock.withLock {
      if let end = shared.end { return end }
      if call.isOver { return CancellationError() }
      let waiting = shared.writer.buffer.count
      let frame = LengthLineFraming.open(in: &shared.writer.buffer)
      shared.writer.beginTable(elements: 0, entries: 0)
      shared.writer.element(1, .string(call.name))
      for (offset, argument) in arguments.enumerated() {
        shared.writer.element(offset + 2, argument)
      }
      shared.writer.endTable()
      let bytes = LengthLineFraming.close(frame, in: &shared.writer.buffer)
      if shared.writer.buffer.lacksMemory {
        shared.writer.buffer.truncate(to: waiting)
        return TangoError.unsendable(path: call.name, reason: "\(MemoryShortage())")
      }
      guard bytes <= limits.frameBytes else {
        shared.writer.buffer.truncate(to: waiting)
        return TangoError.unsendable(
          path: call.name,
          reason:
            "the message has \(bytes) bytes, more than limits.frameBytes (\(limits.frameBytes))")
      }
      guard let id = shared.calls.add(call, deadline: call.deadline) else {
        shared.writer.buffer.truncate(to: waiting)
        return TangoError.tooManyCallsInFlight(limit: shared.calls.limit)
      }
      call.state = .sent(number: id.number)
      mustFlush = !shared.isFlushScheduled
      shared.isFlushScheduled = true
      return nil
    }
    if let failure { return call.fail(failure) }
    if mustFlush { eventLoop.execute { self.flush() } }
  }

  /// The caller was cancelled. Its answer, if the call has been sent, will be dropped.
  func cancel(_ call: PendingCall) {
    let isMine = lock.withLock {
      let before = call.state
      call.state = .over
      guard case .sent(let number) = before else { return false }
      return shared.calls.abandon(.init(number: number)) != nil
    }
    if isMine { call.fail(CancellationError()) }
  }

  private func flush() {
    guard let context else { return }
    var next: Int64?
    let buffer = lock.withLock {
      shared.isFlushScheduled = false
      next = shared.calls.earliestDeadline
      let buffer = shared.writer.buffer.withUnsafeBytes {
        context.channel.allocator.buffer(bytes: $0)
      }
      shared.writer.buffer.removeFirst(shared.writer.buffer.count)
      shared.writer.buffer.shrink(keeping: 64 << 10)
      return buffer
    }
    if buffer.readableBytes > 0 {
      context.writeAndFlush(NIOAny(buffer), promise: nil)
    }
    if let next { watch(next) }
  }

  // MARK: Deadlines

  private func watch(_ deadline: Int64) {
    guard deadline < timerDeadline else { return }
    timer?.cancel()
    timerDeadline = deadline
    timer = eventLoop.scheduleTask(deadline: .uptimeNanoseconds(UInt64(deadline))) {
      [weak self] in self?.expire()
    }
  }

  private func expire() {
    timer = nil
    timerDeadline = .max
    var next: Int64?
    let expired = lock.withLock {
      let expired = shared.calls.expire(now: Int64(NIODeadline.now().uptimeNanoseconds))
      next = shared.calls.earliestDeadline
      return expired
    }
    for call in expired { call.fail(CallFailure.timedOut) }
    if let next { watch(next) }
  }

  // MARK: The channel

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    do {
      try reader.append(unwrapInboundIn(data))
      _ = try reader.takeFrames {
        try receive($0)
        return .goOn
      }
    } catch {
      end(.protocolViolation(peer: peer, reason: "bad answer: \(error)"))
    }
  }

  private func receive(_ body: UnsafeRawBufferPointer) throws {
    switch lock.withLock({ shared.calls.next() }) {
    case .none: throw UnexpectedAnswer()
    case .abandoned: return
    case .caller(let call):
      elements.removeAll()
      var sink = elements
      do {
        guard SystemMemory.hasRoom(forValuesIn: body.count, limits.codec) else {
          throw MemoryShortage()
        }
        try TangoText.readMessage(body, limits: limits.codec, into: &sink)
      } catch {
        call.fail(TangoError.protocolViolation(peer: peer, reason: "bad answer: \(error)"))
        throw error
      }
      if case .boolean(true) = elements[0] {
        call.succeed(CallResults(elements, first: 1))
      } else {
        call.fail(TangoRemoteError(path: call.name, value: elements.value(at: 1)))
      }
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    end(.connectionClosed(peer: peer))
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A reset is an end like any other.
    end(
      error is IOError || error as? NIOSSLError == .uncleanShutdown
        ? .connectionClosed(peer: peer) : .protocolViolation(peer: peer, reason: "\(error)"))
  }

  /// Fails all calls, and closes.
  func end(_ error: TangoError) {
    let calls: [PendingCall] = lock.withLock {
      guard shared.end == nil else { return [] }
      shared.end = error
      shared.writer.buffer.release()
      return shared.calls.failAll()
    }
    for call in calls { call.fail(error) }
    eventLoop.execute {
      self.timer?.cancel()
      self.timer = nil
      self.context?.close(promise: nil)
    }
  }
}

/// The peer answers, but no call awaits an answer.
private struct UnexpectedAnswer: Error, CustomStringConvertible {
  let description = "an answer to no call"
}
