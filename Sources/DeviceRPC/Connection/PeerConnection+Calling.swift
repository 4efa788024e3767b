import MilongaRPC
import NIOCore
import RPCRuntime

// This side's calls.
extension PeerConnection {
  /// Sends the call, now or when there is a sequence number for it; it succeeds, or fails, exactly
  /// once.
  ///
  /// - Parameter write: writes what is called and the arguments.
  func start(_ call: PendingCall, _ write: (PeerOutput) throws -> Void) {
    var mustFlush = false
    let failure: (any Error)? = lock.withLock {
      if let end = shared.end { return end }
      if call.isOver { return CancellationError() }
      if callCount >= settings.limits.callsInFlight {
        // Those that were given up while they waited for a number are still among the others.
        shared.waiting.removeAll(where: \.isOver)
      }
      guard callCount < settings.limits.callsInFlight else {
        return RPCError.tooManyCalls(limit: settings.limits.callsInFlight)
      }
      do {
        try output.message(.call, values: "argument") {
          guard shared.waiting.isEmpty, let sequence = shared.session.calls.add(call) else {
            return nil
          }
          call.state = .sent(number: UInt64(sequence))
          return sequence
        } keep: { payload in
          call.state = .waiting(payload: payload)
          shared.waiting.append(call)
        } _: {
          try write($0)
        }
      } catch {
        return RPCError.unsendable(path: call.name, reason: "\(error)")
      }
      shared.earliestDeadline = min(shared.earliestDeadline, call.deadline)
      mustFlush = !shared.isFlushScheduled
      shared.isFlushScheduled = true
      return nil
    }
    if let failure { return call.fail(failure) }
    if mustFlush { eventLoop.execute { self.flushInTurn() } }
  }

  private var callCount: Int { shared.session.calls.count + shared.waiting.count }

  /// The caller was cancelled. The answer, if the call has been sent, will be dropped.
  func cancel(_ call: PendingCall) {
    let isMine = lock.withLock {
      let before = call.state
      call.state = .over
      switch before {
      case .new, .over: return false
      case .waiting: return true
      case .sent(let number):
        shared.session.calls.abandon(UInt8(number))
        return true
      }
    }
    if isMine { call.fail(CancellationError()) }
  }

  /// Ends all calls whose deadline has passed.
  ///
  /// - Returns: those calls, and the deadline that is next.
  func expireCalls(now: Int64) -> ([PendingCall], next: Int64) {
    lock.withLock {
      var expired: [PendingCall] = []
      var next = Int64.max
      func isLate(_ call: PendingCall) -> Bool {
        if call.isOver { return false }
        guard call.deadline <= now else {
          next = min(next, call.deadline)
          return false
        }
        call.state = .over
        expired.append(call)
        return true
      }
      shared.session.calls.abandon(where: isLate)
      for call in shared.waiting { _ = isLate(call) }
      shared.earliestDeadline = next
      return (expired, next)
    }
  }

  /// Takes the next message apart; when it is an answer, its number is free for a call that waits.
  func nextEvent(in bytes: UnsafeRawBufferPointer) -> LuaRPCSession<PendingCall>.Event {
    lock.withLock {
      let event = shared.session.next(in: bytes)
      switch event {
      case .answer(let call, _, _):
        call.state = .over
        sendWaiting()
      case .lateAnswer: sendWaiting()
      case .incomplete, .call, .unknownAnswer, .invalid: break
      }
      return event
    }
  }

  private func sendWaiting() {
    if shared.session.calls.count == 0 { shared.earliestDeadline = .max }
    while let call = shared.waiting.first {
      guard case .waiting(let payload) = call.state else {
        shared.waiting.removeFirst()
        continue
      }
      guard let sequence = shared.session.calls.add(call) else { return }
      shared.waiting.removeFirst()
      call.state = .sent(number: UInt64(sequence))
      // Without memory the connection cannot go on: its end is the end of this call, too.
      guard output.message(.call, sequence: sequence, payload: payload) else {
        return eventLoop.execute { self.disconnect("\(MemoryShortage()) for a call") }
      }
    }
  }

  /// - Returns: all calls, which are over now.
  func failAll(_ error: RPCError) -> [PendingCall] {
    lock.withLock {
      guard shared.end == nil else { return [] }
      shared.end = error
      let waiting = shared.waiting.filter { !$0.isOver }
      let calls = shared.session.calls.failAll() + waiting
      for call in calls { call.state = .over }
      shared.waiting = []
      return calls
    }
  }

  // MARK: Answers

  func deliver(to call: PendingCall, _ status: LuaRPCStatus, _ payload: UnsafeRawBufferPointer) {
    defer { elements.removeAll() }
    do throws(ReadFailure) {
      try readValues(UnsafeRawBufferPointer(rebasing: payload[1...]))
    } catch {
      switch error {
      case .refused(let reason):
        return call.fail(RPCError.unreadable(path: call.name, reason: reason))
      case .malformed(let reason):
        call.fail(RPCError.protocolViolation(peer: name, reason: "a malformed answer: \(reason)"))
        return disconnect("a malformed answer: \(reason)")
      }
    }
    if let error = error(status, call.name) {
      call.fail(error)
    } else {
      call.succeed(CallResults(elements, first: 0))
    }
  }

  /// What a caller is told; nil when results have come.
  private func error(_ status: LuaRPCStatus, _ name: String) -> (any Error)? {
    switch status {
    case .results: nil
    case .error: RPCRemoteError(path: name, value: elements.value(at: 0))
    case .noSuchFunction: RPCError.noSuchFunction(path: name)
    case .notAFunction: RPCError.notAFunction(path: name)
    case .unserializable: RPCError.unserializable(path: name)
    default: RPCError.unknownStatus(path: name, status: status.rawValue)
    }
  }

  func noteUnknownAnswer(_ sequence: UInt8) {
    guard !hasToldOfUnknownAnswer else { return }
    hasToldOfUnknownAnswer = true
    settings.logger.warning("\(name): an answer to call \(sequence), which nobody made, is dropped")
  }

  // MARK: Values

  /// Why values could not be read.
  enum ReadFailure: Error {
    /// The bytes are no values: nothing that comes from this peer makes sense.
    case malformed(String)
    /// They are values, but too many, or values that this side cannot take.
    case refused(String)
  }

  /// Reads the values of a payload into ``elements``.
  func readValues(_ payload: UnsafeRawBufferPointer) throws(ReadFailure) {
    elements.removeAll()
    var sink = PeerElementsSink(elements, limit: settings.limits.values)
    var count = 0
    guard SystemMemory.hasRoom(forValuesIn: payload.count, settings.limits.codec) else {
      throw .refused("\(MemoryShortage())")
    }
    reader.begin(payload)
    while let tag = reader.nextTag {
      guard count <= settings.limits.arguments else {
        throw .refused("a message has more than \(settings.limits.arguments) values")
      }
      var unknown: UInt32?
      do throws(CodecError) {
        switch tag {
        case PeerObject.ofSender:
          let id = try reader.takeTaggedID()
          if let peer { elements.object(RPCReference(id: id, peer: peer)) } else { elements.null() }
        case PeerObject.ofReceiver:
          let id = try reader.takeTaggedID()
          if let object = lock.withLock({ output.object(id) }) {
            elements.object(object)
          } else {
            unknown = id
          }
        default: try reader.readValue(into: &sink)
        }
      } catch {
        throw error.kind == .syntax ? .malformed("\(error)") : .refused("\(error)")
      }
      if let unknown { throw .refused("Unknown local object \(unknown)") }
      count += 1
      elements.endMessageElement(at: count)
    }
    if let refusal = sink.refusal { throw .refused("\(refusal)") }
  }
}
