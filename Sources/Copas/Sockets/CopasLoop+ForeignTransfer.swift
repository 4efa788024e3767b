import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

// Sockets that the dispatcher does not read and write itself: datagram and Unix sockets, serial devices, and
// objects of other libraries that keep to LuaSocket's protocol (`getfd`, `settimeout(0)`, and the
// errors `timeout`, `wantread` and `wantwrite` when they would block), such as LuaSec's. Their own method is
// called, and called again when the descriptor is ready.

/// An operation of such a socket.
struct OtherOperation: Sendable {
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

  static let receiveFrom = OtherOperation(
    method: "receivefrom", direction: .read, phase: .receive)
  static let handshake = OtherOperation(
    method: "dohandshake", direction: .write, phase: .connect)
  static let send = OtherOperation(
    method: "send", direction: .write, phase: .send, partial: .lastIndex)
  static let connect = OtherOperation(
    method: "connect", direction: .write, phase: .connect, connects: true)

  static func receive(_ enough: CopasLoop.Enough) -> OtherOperation {
    OtherOperation(
      method: "receive", direction: .read, phase: .receive, partial: .prefix, enough: enough)
  }
}

/// What the operation does when its function runs again.
enum OtherStep: Int {
  // Far from what a transfer of our own sockets keeps in the same place.
  case begin = -1004
  case triedOnce
  case tried
  case triedForTheLastTime
}

/// The places of the stack: the socket and up to three arguments, then the deadline, then results.
private enum Slot {
  static let socket = 1
  static let lastArgument = 4
  static let deadline = 5
}

extension CopasLoop {
  /// Carries the operation out. The arguments are at 1 to 4.
  func transfer(_ call: LuaCall, _ operation: OtherOperation) throws(LuaFailure) -> LuaOutcome {
    switch call.phase {
    case .entered:
      try checkSocket(call)
      try requireInside(call, operation.method)
      // Its method must not wait by itself.
      sockets.any.payload(call, at: Slot.socket)?.pointee.timeouts.block = 0
      call.count = Slot.lastArgument
      let seconds = copasTimeouts(call, at: Slot.socket).seconds(for: operation.phase)
      call.push(
        seconds == .infinity
          ? Int.max : Int(MonotonicTime.deadline(after: seconds, from: MonotonicTime.now())))
      if let outcome = turnOver(state: OtherStep.begin.rawValue) { return outcome }
      return try callMethod(call, operation, .triedOnce)
    case .resumed:
      try requireInside(call, operation.method)
      if OtherStep(rawValue: call.step) == .begin {
        return try callMethod(call, operation, .triedOnce)
      }
      return try callMethod(call, operation, hasTimedOut ? .triedForTheLastTime : .tried)
    case .returned, .failed:
      return try goOn(call, operation, OtherStep(rawValue: call.step)!)
    }
  }

  private func callMethod(
    _ call: LuaCall, _ operation: OtherOperation, _ step: OtherStep
  ) throws(LuaFailure) -> LuaOutcome {
    call.count = Slot.deadline
    if pushEarlierFailure(call, of: Slot.socket) { return failAgain(call, operation) }
    call.push(operation.method)
    guard milonga_gettable(call.state, Int32(Slot.socket)) == LUA_OK else { throw .raised }
    guard call.type(at: -1) != .nil else { throw call.typeFailure(argument: 1, expected: "socket") }
    var arguments = Slot.lastArgument
    while arguments > 1, call.type(at: arguments) == .nil { arguments -= 1 }
    for index in 1...arguments { call.pushValue(at: index) }
    return .call(arguments: arguments, results: 3, state: step.rawValue)
  }

  /// The method has returned three results.
  private func goOn(
    _ call: LuaCall, _ operation: OtherOperation, _ step: OtherStep
  ) throws(LuaFailure) -> LuaOutcome {
    if call.boolean(at: -3) { return .results(3) }
    if step != .triedOnce, operation.isConnected(call) {
      call.push(1.0)
      return .results(1)
    }
    guard let wait = wouldBlock(call, operation) else {
      noteFailure(call, of: Slot.socket, error: -2)
      return .results(3)
    }
    if isEnough(call, operation) { return .results(3) }
    if step == .triedForTheLastTime {
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
  private func failAgain(_ call: LuaCall, _ operation: OtherOperation) -> LuaOutcome {
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
  private func wouldBlock(_ call: LuaCall, _ operation: OtherOperation) -> Direction? {
    guard call.type(at: -2) == .string, let error = call.bytesIfString(at: -2) else { return nil }
    if error.elementsEqual("timeout".utf8) { return operation.direction }
    if error.elementsEqual("wantread".utf8) { return .read }
    if error.elementsEqual("wantwrite".utf8) { return .write }
    return nil
  }

  /// Whether what has come is enough, though the method wanted more.
  private func isEnough(_ call: LuaCall, _ operation: OtherOperation) -> Bool {
    switch operation.enough {
    case .pattern: return false
    case .timeout where copasTimeouts(call, at: Slot.socket).receive != 0: return false
    case .anything, .timeout:
      let prefix = call.bytesIfString(at: 3)?.count ?? 0
      return call.type(at: -1) == .string && call.bytesIfString(at: -1)!.count > prefix
    }
  }

  private func keepPartial(_ call: LuaCall, _ operation: OtherOperation) {
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
    let deadline = Int64(call.integerIfInteger(at: Slot.deadline) ?? Int.max)
    call.count = Slot.deadline
    do throws(Errno) {
      if let socket = sockets.any.payload(call, at: Slot.socket) {
        guard socket.pointee.descriptor >= 0 else { throw .badFileDescriptor }
        return try wait(
          socket, for: direction, until: deadline, state: OtherStep.tried.rawValue)
      }
      let descriptor = try foreignDescriptor(call)
      // The number may have a new life since the last wait.
      try register(descriptor)
      return park(on: descriptor, direction, until: deadline, state: OtherStep.tried.rawValue)
    } catch {
      return call.pushFailure(error == .badFileDescriptor ? .closed : .system(error))
    }
  }

  // MARK: Descriptors of other libraries

  /// What `getfd` of the object at 1 says.
  private func foreignDescriptor(_ call: LuaCall) throws(Errno) -> Int32 {
    guard let descriptor = descriptorOfForeign(call, at: Slot.socket), descriptor >= 0 else {
      throw .badFileDescriptor
    }
    return descriptor
  }

  /// What `getfd` of the object at `index` says; nil when it has no such method, or it fails.
  func descriptorOfForeign(_ call: LuaCall, at index: Int) -> Int32? {
    let top = call.count
    defer { call.count = top }
    let index = Int(lua_absindex(call.state, Int32(index)))
    call.push("getfd")
    guard milonga_gettable(call.state, Int32(index)) == LUA_OK, call.type(at: -1) == .function
    else {
      return nil
    }
    call.pushValue(at: index)
    guard milonga_pcall(call.state, 1, 1, 0) == LUA_OK else { return nil }
    return call.numberIfNumber(at: -1).map { Int32(clamping: $0.clampedToInt) }
  }

  // MARK: Timeouts

  /// The timeouts of the socket at `index`, whatever it is.
  func copasTimeouts(_ call: LuaCall, at index: Int) -> SocketObject.CopasTimeouts {
    if let socket = sockets.any.payload(call, at: index) { return socket.pointee.copasTimeouts }
    guard foreignTimeoutsReference != 0 else { return .init() }
    let index = Int(lua_absindex(call.state, Int32(index)))
    call.pushRetained(foreignTimeoutsReference)
    call.pushValue(at: index)
    milonga_rawget(call.state, -2)
    defer { call.pop(2) }
    return foreignTimeouts.payload(call, at: -1)?.pointee ?? .init()
  }

  func setCopasTimeouts(
    _ call: LuaCall, at index: Int, _ timeouts: SocketObject.CopasTimeouts
  ) {
    if let socket = sockets.any.payload(call, at: index) {
      socket.pointee.copasTimeouts = timeouts
      return
    }
    if foreignTimeoutsReference == 0 { foreignTimeoutsReference = retainWeakTable(call) }
    let index = Int(lua_absindex(call.state, Int32(index)))
    call.pushRetained(foreignTimeoutsReference)
    call.pushValue(at: index)
    foreignTimeouts.push(timeouts, onto: call)
    milonga_rawset(call.state, -3)
    call.pop()
  }
}

extension SocketObject.CopasTimeouts {
  fileprivate func seconds(for phase: OtherOperation.Phase) -> Double {
    switch phase {
    case .connect: connect
    case .send: send
    case .receive: receive
    }
  }
}
