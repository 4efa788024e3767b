import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

// Sockets that the dispatcher does not read and write itself: datagram and Unix sockets, serial
// devices, and objects of other libraries that keep to LuaSocket's protocol (`getfd`,
// `settimeout(0)`, and the errors `timeout`, `wantread` and `wantwrite` when they would block),
// such as LuaSec's. Their own method is called, and called again when the descriptor is ready.

/// An operation of such a socket.
struct ForeignOperation: Sendable {
  /// Which of a socket's timeouts counts.
  enum Phase: Sendable {
    case connect, send, receive
  }

  enum Partial: Sendable {
    case none
    /// The third result becomes the third argument.
    case prefix
    /// The third result is the index of the last byte sent.
    case lastIndex
  }

  let method: StaticString
  /// What it waits for when the method says `timeout`.
  let direction: Direction
  let phase: Phase
  var partial = Partial.none
  var connects = false
  /// Ends it before the method succeeds.
  var enough = CopasLoop.Enough.pattern

  /// A connect that had to wait says that it is there by failing.
  func isConnected(_ call: LuaCall) -> Bool {
    guard connects, call.type(at: -2) == .string else { return false }
    return call.bytesIfString(at: -2)!.elementsEqual("already connected".utf8)
  }

  static let receiveFrom = ForeignOperation(
    method: "receivefrom", direction: .read, phase: .receive)
  static let handshake = ForeignOperation(
    method: "dohandshake", direction: .write, phase: .connect)
  static let send = ForeignOperation(
    method: "send", direction: .write, phase: .send, partial: .lastIndex)
  static let connect = ForeignOperation(
    method: "connect", direction: .write, phase: .connect, connects: true)

  static func receive(_ enough: CopasLoop.Enough) -> ForeignOperation {
    ForeignOperation(
      method: "receive", direction: .read, phase: .receive, partial: .prefix, enough: enough)
  }
}

extension CopasLoop {
  /// Carries the operation out. The arguments are at 1 to 4.
  func transfer(_ call: LuaCall, _ operation: ForeignOperation) throws(LuaFailure) -> LuaOutcome {
    switch call.phase {
    case .entered:
      try checkSocket(call)
      try requireInside(call, operation.method)
      // Its method must not wait by itself.
      sockets.any.payload(call, at: TransferSlot.socket)?.pointee.timeouts.block = 0
      call.count = TransferSlot.lastArgument
      let timeouts = foreignSockets.timeouts(call, at: TransferSlot.socket)
      let seconds = timeouts.seconds(for: operation.phase)
      call.push(
        seconds == .infinity
          ? Int.max : Int(MonotonicTime.deadline(after: seconds, from: MonotonicTime.now())))
      if let outcome = turnOver(state: TransferStep.foreign(.notYet).packed) { return outcome }
      return try callMethod(call, operation, .once)
    case .resumed:
      try requireInside(call, operation.method)
      if call.transferStep == .foreign(.notYet) { return try callMethod(call, operation, .once) }
      return try callMethod(call, operation, hasTimedOut ? .forTheLastTime : .again)
    case .returned, .failed:
      guard case .foreign(let step) = call.transferStep else {
        preconditionFailure("a method has returned that this function did not call")
      }
      return try goOn(call, operation, step)
    }
  }

  private func callMethod(
    _ call: LuaCall, _ operation: ForeignOperation, _ step: TransferStep.Foreign
  ) throws(LuaFailure) -> LuaOutcome {
    call.count = TransferSlot.foreignDeadline
    if foreignSockets.pushEarlierFailure(call, of: TransferSlot.socket) {
      return failAgain(call, operation)
    }
    call.push(operation.method)
    guard milonga_gettable(call.state, Int32(TransferSlot.socket)) == LUA_OK else { throw .raised }
    guard call.type(at: -1) != .nil else { throw call.typeFailure(argument: 1, expected: "socket") }
    var arguments = TransferSlot.lastArgument
    while arguments > 1, call.type(at: arguments) == .nil { arguments -= 1 }
    for index in 1...arguments { call.pushValue(at: index) }
    return .call(arguments: arguments, results: 3, state: TransferStep.foreign(step).packed)
  }

  /// The method has returned three results.
  private func goOn(
    _ call: LuaCall, _ operation: ForeignOperation, _ step: TransferStep.Foreign
  ) throws(LuaFailure) -> LuaOutcome {
    if call.boolean(at: -3) { return .results(3) }
    if step != .once, operation.isConnected(call) {
      call.push(1.0)
      return .results(1)
    }
    guard let wait = wouldBlock(call, operation) else {
      foreignSockets.noteFailure(call, of: TransferSlot.socket, error: -2)
      return .results(3)
    }
    if isEnough(call, operation) { return .results(3) }
    if step == .forTheLastTime {
      if !tellsSocketTimeouts {
        call.push("timeout")
        call.replace(at: -3)
      }
      return .results(3)
    }
    keepPartial(call, operation)
    return try park(call, wait)
  }

  /// The error of an earlier operation is on top: what the method would return with it.
  private func failAgain(_ call: LuaCall, _ operation: ForeignOperation) -> LuaOutcome {
    call.pushNil()
    call.insert(at: -2)
    switch operation.partial {
    case .none: return .results(2)
    case .prefix:
      if call.type(at: 3) == .string { call.pushValue(at: 3) } else { call.push("") }
    case .lastIndex: call.push((call.numberIfNumber(at: 3)?.clampedToInt ?? 1) - 1)
    }
    return .results(3)
  }

  /// What the failed method waits for, by the error that it returned; nil for other errors.
  private func wouldBlock(_ call: LuaCall, _ operation: ForeignOperation) -> Direction? {
    guard call.type(at: -2) == .string, let error = call.bytesIfString(at: -2) else { return nil }
    if error.elementsEqual("timeout".utf8) { return operation.direction }
    if error.elementsEqual("wantread".utf8) { return .read }
    if error.elementsEqual("wantwrite".utf8) { return .write }
    return nil
  }

  /// Whether what has come is enough, though the method wanted more.
  private func isEnough(_ call: LuaCall, _ operation: ForeignOperation) -> Bool {
    switch operation.enough {
    case .pattern: return false
    case .timeout where foreignSockets.timeouts(call, at: TransferSlot.socket).receive != 0:
      return false
    case .anything, .timeout:
      let prefix = call.bytesIfString(at: 3)?.count ?? 0
      return call.type(at: -1) == .string && call.bytesIfString(at: -1)!.count > prefix
    }
  }

  private func keepPartial(_ call: LuaCall, _ operation: ForeignOperation) {
    switch operation.partial {
    case .none: return
    case .prefix:
      guard call.type(at: -1) == .string else { return }
      call.pushValue(at: -1)
    case .lastIndex:
      guard let last = call.numberIfNumber(at: -1) else { return }
      call.push(last.clampedToInt &+ 1)
    }
    call.replace(at: 3)
  }

  private func park(_ call: LuaCall, _ direction: Direction) throws(LuaFailure) -> LuaOutcome {
    let deadline = Int64(call.integerIfInteger(at: TransferSlot.foreignDeadline) ?? Int.max)
    call.count = TransferSlot.foreignDeadline
    let state = TransferStep.foreign(.again).packed
    noteWait(call)
    do throws(Errno) {
      if let socket = sockets.any.payload(call, at: TransferSlot.socket) {
        guard socket.pointee.descriptor >= 0 else { throw .badFileDescriptor }
        return try wait(socket, for: direction, until: deadline, state: state)
      }
      let descriptor = try foreignDescriptor(call)
      // The number may have a new life since the last wait.
      try register(descriptor)
      return park(on: descriptor, direction, until: deadline, state: state)
    } catch {
      return call.pushFailure(error == .badFileDescriptor ? .closed : .system(error))
    }
  }

  /// What `getfd` of the object at 1 says.
  private func foreignDescriptor(_ call: LuaCall) throws(Errno) -> Int32 {
    guard let descriptor = call.descriptorOfForeign(at: TransferSlot.socket), descriptor >= 0 else {
      throw .badFileDescriptor
    }
    return descriptor
  }
}

extension CopasTimeouts {
  fileprivate func seconds(for phase: ForeignOperation.Phase) -> Double {
    switch phase {
    case .connect: connect
    case .send: send
    case .receive: receive
    }
  }
}
