import IO
import Lua
import LuaSocket
import Scheduler
import SystemPackage

/// Where a transfer keeps its deadline, and a send how far it got, while the coroutine waits: behind
/// the arguments on its own stack.
private enum Slot {
  static let receiveDeadline = 4
  static let sendDeadline = 5
  static let sendOffset = 6
}

extension CopasLoop {
  /// `receive(socket [, pattern [, prefix]])`.
  ///
  /// - Parameter partial: whatever is there is enough.
  func receive(_ call: LuaCall, partial: Bool) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .entered {
      unwrap(call, at: 1)
      call.count = 3
    }
    let socket = try sockets.check(sockets.client, call)
    var (pattern, prefix) = try sockets.receiveArguments(call)
    if case .count(0) = pattern {
      return sockets.pushReceived(call, socket, pattern, prefix: prefix, failure: nil)
    }
    if call.phase == .entered {
      try requireInside(call, "receive")
      if let outcome = turnOver() { return outcome }
    }
    let progress = socket.pointee.receive(
      pattern, pool: sockets.pool, mayRead: isReady(socket, .read),
      wasShort: { drained(socket) })
    switch progress {
    case .done:
      return sockets.pushReceived(call, socket, pattern, prefix: prefix, failure: nil)
    case .failed(let failure):
      return sockets.pushReceived(call, socket, pattern, prefix: prefix, failure: failure)
    case .wait:
      if partial, !socket.pointee.buffer.isEmpty {
        pattern = .count(socket.pointee.buffer.count)
        return sockets.pushReceived(call, socket, pattern, prefix: prefix, failure: .timeout)
      }
      if call.phase == .resumed, hasTimedOut {
        return sockets.pushReceived(call, socket, pattern, prefix: prefix, failure: .timeout)
      }
      let deadline = self.deadline(
        call, at: Slot.receiveDeadline, seconds: socket.pointee.copasTimeouts.receive)
      do throws(Errno) {
        return try wait(socket, for: .read, until: deadline)
      } catch {
        return sockets.pushReceived(
          call, socket, pattern, prefix: prefix, failure: .system(error))
      }
    }
  }

  /// `send(socket, data [, from [, to]])`.
  func send(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .entered {
      unwrap(call, at: 1)
      call.count = 4
    }
    let socket = try sockets.check(sockets.client, call)
    let (bytes, first) = try sockets.sendArguments(call)
    if call.phase == .entered {
      try requireInside(call, "send")
      if let outcome = turnOver() { return outcome }
    }
    var offset = call.count >= Slot.sendOffset ? try call.integer(at: Slot.sendOffset) : 0
    let failure: SocketFailure?
    switch socket.pointee.send(bytes, from: &offset) {
    case .done: failure = nil
    case .failed(let reason): failure = reason
    case .wait where call.phase == .resumed && hasTimedOut: failure = .timeout
    case .wait:
      markUnready(socket, .write)
      let deadline = self.deadline(
        call, at: Slot.sendDeadline, seconds: socket.pointee.copasTimeouts.send)
      call.count = Slot.sendOffset - 1
      call.push(offset)
      do throws(Errno) {
        return try wait(socket, for: .write, until: deadline)
      } catch {
        failure = .system(error)
      }
    }
    return sockets.pushSent(call, last: offset + first - 1, failure: failure)
  }

  /// The operation's deadline: kept at `slot` of the stack from its first wait on.
  func deadline(_ call: LuaCall, at slot: Int, seconds: Double) -> Int64 {
    if call.count >= slot, let kept = try? call.integer(at: slot) { return Int64(kept) }
    let deadline =
      seconds == .infinity
      ? MonotonicTime.never : MonotonicTime.deadline(after: seconds, from: MonotonicTime.now())
    call.count = slot - 1
    call.push(Int(deadline))
    return deadline
  }
}
