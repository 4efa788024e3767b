import LuaSocket
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

extension CopasLoop {
  /// What is enough for a receive.
  enum Enough {
    case pattern
    case anything
    /// Anything, if the socket's receive timeout is 0.
    case timeout
  }

  /// `receive(socket [, pattern [, prefix]])`.
  ///
  /// - Parameter enough: what ends it before the pattern is complete.
  @inline(__always)
  func receive(_ call: LuaCall, enough: Enough = .pattern) throws(LuaFailure) -> LuaOutcome {
    let request: ReceiveRequest
    switch try receiveRequest(call, enough) {
    case .own(let own): request = own
    case .other(let outcome): return outcome
    }
    let socket = request.socket
    // A prefix is looked up again in the arguments.
    let step = request.prefix == 0 ? TransferStep.receiving(request.pattern).packed : 0
    if call.phase == .entered, let outcome = turnOver(state: step) { return outcome }

    let mayRead = isReady(socket, .read)
    var isOver = false
    // What a client waiting for its next message finds.
    let progress =
      mayRead || !socket.pointee.buffer.isEmpty
      ? socket.pointee.receive(
        request.pattern, pool: pool, mayRead: mayRead, wasShort: { drained(socket) },
        isOver: {
          isOver = hasRunLong
          return isOver
        })
      : .wait
    var failure: SocketFailure?
    switch progress {
    case .done: break
    case .failed(let reason): failure = reason
    case .wait where mayDoWithLess(socket, enough),
      .wait where call.phase == .resumed && hasTimedOut:
      failure = .timeout
    case .wait:
      let deadline = self.deadline(
        call, at: TransferSlot.receiveDeadline, seconds: socket.pointee.copasTimeouts.receive)
      if isOver, mayWait {
        // There may be more, but others have not had their turns for a while.
        if deadline > MonotonicTime.now() { return giveUpTurn(step)! }
        failure = .timeout
        break
      }
      noteWait(call, for: socket)
      do throws(Errno) {
        return try wait(socket, for: .read, until: deadline, state: step)
      } catch {
        failure = .system(error)
      }
    }
    return sockets.pushReceived(
      call, socket, request.pattern, prefix: request.prefix, failure: failure)
  }

  /// What a receive is to do with a socket of our own.
  private struct ReceiveRequest {
    let socket: UnsafeMutablePointer<SocketObject>
    let pattern: SocketObject.Pattern
    /// The bytes of the prefix, which is among the arguments.
    let prefix: Int
  }

  private enum Receiver {
    case own(ReceiveRequest)
    /// Another object receives, or nothing is to be received: the function is to return this.
    case other(LuaOutcome)
  }

  @inline(__always)
  private func receiveRequest(
    _ call: LuaCall, _ enough: Enough
  ) throws(LuaFailure) -> Receiver {
    if call.phase == .entered {
      unwrapSelf(call)
      if call.count >= TransferSlot.receiveDeadline {
        call.count = TransferSlot.receiveDeadline - 1
      }
      guard let socket = client.payload(call, at: 1) else {
        return .other(try receiveFromOther(call, enough))
      }
      let (pattern, prefix) = try sockets.receiveArguments(call)
      if case .count(0) = pattern, prefix > 0 {
        return .other(sockets.pushReceived(call, socket, pattern, prefix: prefix, failure: nil))
      }
      try requireInside(call, "receive")
      return .own(ReceiveRequest(socket: socket, pattern: pattern, prefix: prefix))
    }
    let step = call.transferStep
    if step.isForeign { return .other(try transfer(call, .receive(enough))) }
    try requireInside(call, "receive")
    guard let socket = client.payload(call, at: 1) else {
      throw call.typeFailure(argument: 1, expected: client.name)
    }
    if case .receiving(let pattern) = step {
      return .own(ReceiveRequest(socket: socket, pattern: pattern, prefix: 0))
    }
    let (pattern, prefix) = try sockets.receiveArguments(call)
    return .own(ReceiveRequest(socket: socket, pattern: pattern, prefix: prefix))
  }

  /// Whether what has come is enough, though the pattern wants more.
  @inline(__always)
  private func mayDoWithLess(
    _ socket: UnsafeMutablePointer<SocketObject>, _ enough: Enough
  ) -> Bool {
    (enough == .anything || enough == .timeout && socket.pointee.copasTimeouts.receive == 0)
      && !socket.pointee.buffer.isEmpty
  }

  /// `send(socket, data [, from [, to]])`.
  @inline(__always)
  func send(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .entered {
      unwrapSelf(call)
      if call.count >= TransferSlot.sendDeadline { call.count = TransferSlot.sendDeadline - 1 }
    }
    if call.transferStep.isForeign { return try transfer(call, .send) }
    guard let socket = client.payload(call, at: 1) else { return try transfer(call, .send) }
    let (bytes, first) = try sockets.sendArguments(call)
    try requireInside(call, "send")
    if call.phase == .entered, let outcome = turnOver() { return outcome }
    var offset =
      call.count >= TransferSlot.sendOffset ? try call.integer(at: TransferSlot.sendOffset) : 0
    guard 0...bytes.count ~= offset else {
      throw call.failure("copas.send: what was sent is \(offset) of \(bytes.count) bytes")
    }
    let failure: SocketFailure?
    let isMuch = bytes.count > bytesAtOnce
    let progress =
      isMuch
      ? sendMuch(socket, bytes, from: &offset) : socket.pointee.send(bytes, from: &offset)
    switch progress {
    case .done where isMuch && offset < bytes.count:
      // The other side takes as much as there is, but others have not had their turns for a while.
      _ = deadline(call, at: TransferSlot.sendDeadline, seconds: socket.pointee.copasTimeouts.send)
      call.count = TransferSlot.sendDeadline
      call.push(offset)
      return giveUpTurn()!
    case .done: failure = nil
    case .failed(let reason): failure = reason
    case .wait where call.phase == .resumed && hasTimedOut: failure = .timeout
    case .wait:
      markUnready(socket, .write)
      let deadline = self.deadline(
        call, at: TransferSlot.sendDeadline, seconds: socket.pointee.copasTimeouts.send)
      call.count = TransferSlot.sendDeadline
      call.push(offset)
      noteWait(call, for: socket)
      do throws(Errno) {
        return try wait(socket, for: .write, until: deadline)
      } catch {
        failure = .system(error)
      }
    }
    return sockets.pushSent(call, last: offset + first - 1, failure: failure)
  }

  /// Sends what the system takes, but not much longer than a turn: then it is done before the end
  /// of the bytes.
  @inline(never)
  private func sendMuch(
    _ socket: UnsafeMutablePointer<SocketObject>, _ bytes: UnsafeRawBufferPointer,
    from offset: inout Int
  ) -> SocketObject.Progress {
    while true {
      let piece = UnsafeRawBufferPointer(
        rebasing: bytes[..<min(bytes.count, offset + bytesAtOnce)])
      let progress = socket.pointee.send(piece, from: &offset)
      guard case .done = progress, offset < bytes.count, !hasRunLong || !mayWait else {
        return progress
      }
    }
  }

  private func receiveFromOther(
    _ call: LuaCall, _ enough: Enough
  ) throws(LuaFailure) -> LuaOutcome {
    call.count = 3
    if call.isNoneOrNil(at: 2) {
      call.push("*l")
      call.replace(at: 2)
    }
    return try transfer(call, .receive(enough))
  }

  /// The operation's deadline: kept at `slot` of the stack from its first wait on.
  func deadline(_ call: LuaCall, at slot: Int, seconds: Double) -> Int64 {
    if seconds == .infinity { return MonotonicTime.never }
    if call.count >= slot, let kept = try? call.integer(at: slot) { return Int64(kept) }
    let deadline = MonotonicTime.deadline(after: seconds, from: MonotonicTime.now())
    call.count = slot - 1
    call.push(Int(deadline))
    return deadline
  }
}

/// Bytes that are sent before another look at the clock.
private let bytesAtOnce = 1 << 20
