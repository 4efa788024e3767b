import MilongaRPC
import NIOCore
import RPCRuntime

// Answers are written as the functions give them, and leave together.
extension TangoServerHandler {
  func respond(_ results: ResultsSender) {
    do {
      try write(true) { try results(self) }
    } catch {
      respond(failure: error)
    }
  }

  func respond(error text: String) { respond(failure: .string(ByteString(text))) }

  func respond(failure error: any Error) {
    if let remote = error as? RPCRemoteError {
      respond(failure: remote.value)
    } else {
      respond(error: "\(error)")
    }
  }

  func respond(failure value: Value) {
    do {
      try write(false) { try result(value) }
    } catch let error as MemoryShortage {
      refuse("\(error) for its answer")
    } catch {
      respond(error: "tango server error: the error value could not be sent: \(error)")
    }
  }

  /// - Throws: when the results cannot be sent; then nothing was written.
  @inline(__always)
  func write(_ status: Bool, _ body: () throws -> Void) throws {
    scratch.spare.lend(to: &writer.buffer)
    let waiting = writer.buffer.count
    let frame = LengthLineFraming.open(in: &writer.buffer)
    do {
      writer.beginTable(elements: 0, entries: 0)
      writer.beginElement(1)
      writer.boolean(status)
      nextElement = 2
      try body()
      writer.endTable()
    } catch {
      writer.breakOff()
      LengthLineFraming.drop(frame, from: &writer.buffer)
      throw error
    }
    let bytes = LengthLineFraming.close(frame, in: &writer.buffer)
    guard bytes <= configuration.limits.frameBytes else {
      let lacksMemory = writer.buffer.lacksMemory
      writer.buffer.truncate(to: waiting)
      if lacksMemory { throw MemoryShortage() }
      throw TooLong(bytes: bytes, limit: configuration.limits.frameBytes)
    }
  }

  // MARK: Sending

  /// Gives the channel the answers that were collected.
  func flush() {
    let todo = state.answers(isEmpty: writer.buffer.isEmpty)
    switch todo {
    case .keep: return
    case .drop: return dropAnswers()
    case .send, .sendAndClose: break
    }
    guard let context else { return }
    guard let buffer = takeAnswers() else {
      writer.buffer.release()
      return refuse("not enough memory for its answers")
    }
    var sent: EventLoopPromise<Void>?
    if todo == .sendAndClose {
      // Closing at once would lose what the system has not yet taken, of this and of what was
      // written before.
      state.close()
      sent = context.eventLoop.makePromise()
      sent!.futureResult.whenComplete { [weak self] _ in self?.context?.close(promise: nil) }
    }
    context.writeAndFlush(NIOAny(buffer), promise: sent)
    if isHolding, !state.isReading { tellHolding() }
  }

  private func dropAnswers() {
    writer.buffer.removeFirst(writer.buffer.count)
    scratch.spare.giveBack(&writer.buffer)
  }

  /// Nil when there is no memory for a copy.
  private func takeAnswers() -> ByteBuffer? {
    guard SystemMemory.has(2 * writer.buffer.count) else { return nil }
    // The same memory again, unless the system has not taken yet what is in it.
    scratch.output.clear(minimumCapacity: writer.buffer.count)
    writer.buffer.withUnsafeBytes { _ = scratch.output.writeBytes($0) }
    writer.buffer.removeFirst(writer.buffer.count)
    scratch.spare.giveBack(&writer.buffer)
    let answers = scratch.output
    if answers.capacity > mostUnsent { scratch.output = ByteBuffer() }
    return answers
  }
}

extension TangoServerHandler: ResultReceiver {
  func result<Result: Encodable>(_ result: Result) throws {
    do {
      try writer.element(nextElement, encoding: result)
    } catch let error as EncodingError {
      throw UnsendableResult(index: nextElement - 1, error: error)
    }
    nextElement += 1
  }
}

/// An answer that exceeds the limit.
private struct TooLong: Error, CustomStringConvertible {
  let bytes: Int
  let limit: Int
  var description: String {
    "the answer has \(bytes) bytes, more than the limit of \(limit) for a message"
  }
}
