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
    let socket: UnsafeMutablePointer<SocketObject>
    let pattern: SocketObject.Pattern
    let prefix: Int
    if call.phase == .entered {
      unwrapSelf(call)
      if call.count >= TransferSlot.receiveDeadline {
        call.count = TransferSlot.receiveDeadline - 1
      }
      guard let own = client.payload(call, at: 1) else {
        return try receiveFromOther(call, enough)
      }
      socket = own
      (pattern, prefix) = try sockets.receiveArguments(call)
      if case .count(0) = pattern, prefix > 0 {
        return sockets.pushReceived(call, socket, pattern, prefix: prefix, failure: nil)
      }
      try requireInside(call, "receive")
    } else {
      let step = call.transferStep
      if step.isForeign { return try transfer(call, .receive(enough)) }
      try requireInside(call, "receive")
      guard let own = client.payload(call, at: 1) else {
        throw call.typeFailure(argument: 1, expected: client.name)
      }
      socket = own
      if case .receiving(let kept) = step {
        (pattern, prefix) = (kept, 0)
      } else {
        (pattern, prefix) = try sockets.receiveArguments(call)
      }
    }
    // A prefix is looked up again in the arguments.
    let step = prefix == 0 ? TransferStep.receiving(pattern).packed : 0
    if call.phase == .entered, let outcome = turnOver(state: step) { return outcome }
    var failure: SocketFailure?
    switch receive(call, socket, pattern, step, enough) {
    case .done: break
    case .failed(let reason): failure = reason
    case .unfinished(let outcome): return outcome
    }
    return sockets.pushReceived(call, socket, pattern, prefix: prefix, failure: failure)
  }

  /// How far a receive got.
  private enum Reception {
    case done
    case failed(SocketFailure)
    /// The function is to return this.
    case unfinished(LuaOutcome)
  }

  /// Receives until the pattern is satisfied, or there is no more for now.
  ///
  /// - Parameter step: what the trampoline keeps while the coroutine waits.
  @inline(__always)
  private func receive(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>, _ pattern: SocketObject.Pattern,
    _ step: Int, _ enough: Enough
  ) -> Reception {
    let mayRead = isReady(socket, .read)
    var isOver = false
    // What a client waiting for its next message finds.
    let progress =
      mayRead || !socket.pointee.buffer.isEmpty
      ? socket.pointee.receive(
        pattern, pool: pool, mayRead: mayRead, wasShort: { drained(socket) },
        isOver: {
          isOver = hasRunLong
          return isOver
        })
      : .wait
    switch progress {
    case .done: return .done
    case .failed(let reason): return .failed(reason)
    case .wait: break
    }
    let takesAnything =
      enough == .anything || enough == .timeout && socket.pointee.copasTimeouts.receive == 0
    if takesAnything, !socket.pointee.buffer.isEmpty { return .failed(.timeout) }
    if call.phase == .resumed, hasTimedOut { return .failed(.timeout) }
    let deadline = self.deadline(
      call, at: TransferSlot.receiveDeadline, seconds: socket.pointee.copasTimeouts.receive)
    if isOver, mayWait {
      // There may be more, but others have not had their turns for a while.
      guard deadline > MonotonicTime.now() else { return .failed(.timeout) }
      return .unfinished(giveUpTurn(step)!)
    }
    do throws(Errno) {
      return .unfinished(try wait(socket, for: .read, until: deadline, state: step))
    } catch {
      return .failed(.system(error))
    }
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
