import CMilongaLua
import CMilongaShims
import Copas
import LuaCodec
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler
import SystemPackage

// Requests: how they are written, and when they leave.
extension TangoClient: RoundEndObserver {
  /// Collects the request on the stack from 2 on. An outcome when the program's own function has to
  /// write it.
  func collectRequest(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    releaseAbandonedReferences(call)
    try checkRoom(call)
    if !configuration.codec.serialize.isEmpty {
      call.gatherElements(from: 2)
      configuration.codec.serialize.push(onto: call)
      call.insert(at: 2)
      return .call(arguments: 1, results: 1, state: CallStep.serialize.rawValue)
    }
    let top = call.count
    var message = StackMessage(
      call: call, status: nil, index: 2, last: top, limits: configuration.limits)
    do throws(SerializationFailure) {
      try transport.collect(configuration.codec.writes, &message)
    } catch {
      call.count = top
      let path = call.stringIfString(at: 2) ?? "?"
      throw call.failure("tango: argument #\(message.index - 2) of '\(path)': \(error)")
    }
    return nil
  }

  /// Collects the request that the program's own function has written.
  func collectSerialized(_ call: LuaCall) throws(LuaFailure) {
    guard call.type(at: -1) == .string, let body = call.bytesIfString(at: -1) else {
      throw call.failure("tango: serialize returned no string")
    }
    // While the program's function waited the connection may have been lost, and another one begun.
    guard transport.isReady else { throw closed(call) }
    try checkRoom(call)
    try checkOutside(call)
    var message = RawMessage(body: body)
    do throws(SerializationFailure) {
      try transport.collect(MessageFormat.text, &message)
    } catch {
      throw call.failure("tango: \(error)")
    }
  }

  @inline(__always)
  private func checkRoom(_ call: LuaCall) throws(LuaFailure) {
    if calls.isFull { try makeRoom(call) }
  }

  private func makeRoom(_ call: LuaCall) throws(LuaFailure) {
    giveUpOverdue()
    guard calls.isFull else { return }
    throw call.failure(
      "tango: \(calls.table.limit) calls await their answers on this connection already")
  }

  /// The request that was collected last is that of the call `id`.
  @inline(__always)
  func commit(_ id: Int) {
    if transport.isFull { giveUpOverdue() }
    transport.commit(id, isRead: calls.reader != nil)
  }

  // MARK: References

  func hold(_ id: UnsafeRawBufferPointer) { references.hold(id) }

  func letGo(_ id: UnsafeRawBufferPointer) { references.letGo(id) }

  var generation: Int { references.generation }

  func abandonReference(_ id: UnsafeRawBufferPointer, generation: Int) {
    if references.abandon(id, generation: generation), loop.isStepping { sendAtRoundEnd() }
  }

  /// Tells the server of the objects that the program has no references to any more. The answers
  /// are dropped.
  @inline(__always)
  func releaseAbandonedReferences(_ call: LuaCall) {
    let ids = references.takeAbandoned()
    if !ids.isEmpty { release(ids, call) }
  }

  private func release(_ ids: [[UInt8]], _ call: LuaCall) {
    for (position, id) in ids.enumerated() where !release(id, call) {
      return references.putBack(ids[position...])
    }
  }

  /// False when there is no room for the request.
  @discardableResult
  func release(_ id: [UInt8], _ call: LuaCall) -> Bool {
    guard call.reserve(8), calls.table.hasRoomForUnawaited else { return false }
    let top = call.count
    defer { call.count = top }
    call.push("tango.ref_release")
    id.withUnsafeBytes { call.push($0) }
    if collectRelease(call, from: top + 1) { commit(calls.table.addUnawaited()) }
    return true
  }

  /// Collects the request on the stack from `first` on, without an error; whether that went well.
  private func collectRelease(_ call: LuaCall, from first: Int) -> Bool {
    do throws(SerializationFailure) {
      if configuration.codec.serialize.isEmpty {
        var message = StackMessage(
          call: call, status: nil, index: first, last: call.count, limits: configuration.limits)
        try transport.collect(configuration.codec.writes, &message)
        return true
      }
      call.gatherElements(from: first)
      configuration.codec.serialize.push(onto: call)
      call.insert(at: -2)
      guard milonga_pcall(call.state, 1, 1, 0) == LUA_OK, call.type(at: -1) == .string,
        let body = call.bytesIfString(at: -1)
      else { return false }
      var message = RawMessage(body: body)
      try transport.collect(MessageFormat.text, &message)
      return true
    } catch {
      return false
    }
  }

  // MARK: When requests leave

  /// The request of a future is to leave, with others if it may. When too much waits to be sent,
  /// the caller waits, too.
  func leave(_ call: LuaCall, _ future: TangoFuture) throws(LuaFailure) -> LuaOutcome {
    let isInside = loop.isInside(call)
    let unsent = transport.unsentBytes
    if unsent > 0, !future.mayRest || unsent > mostUnsent {
      if isInside, unsent <= mostUnsent { sendAtRoundEnd() } else { send(isInside: isInside) }
    }
    if isInside { calls.stopWaitingForRoom(loop.currentTask) }
    if let outcome = try waitForRoom(call, future, isInside: isInside) { return outcome }
    if isInside { passOnReading() }
    call.count = 1
    return .results(1)
  }

  private func waitForRoom(
    _ call: LuaCall, _ future: TangoFuture, isInside: Bool
  ) throws(LuaFailure) -> LuaOutcome? {
    let waiting = WaitingCall(id: future.id, deadline: future.deadline)
    // A caller that cannot wait need not: the next one has to wait for more.
    while transport.unsentBytes > mostUnsent, future.isPending, !isInside || loop.mayWait {
      if isInside, let task = loop.currentTask, let reader = calls.reader, reader != task {
        if call.phase == .resumed, loop.hasTimedOut { throw timeOut(call, future.id) }
        calls.waitForRoom(task)
        loop.observeRemoval(by: observerNumber)
        return loop.sleep(until: future.deadline, state: CallStep.room.rawValue)
      }
      if case .suspended(let outcome) = try advance(call, waiting, .room) { return outcome }
    }
    return nil
  }

  private func sendAtRoundEnd() {
    guard !observesRoundEnd else { return }
    observesRoundEnd = true
    loop.observeRoundEnd(by: self)
  }

  func roundEnded() {
    observesRoundEnd = false
    guard transport.isReady else { return }
    releaseAbandonedReferences(loop.main)
    send(isInside: true)
  }

  func sendRested(_ call: LuaCall) {
    if transport.isReady { send(isInside: loop.isInside(call)) }
  }

  /// Sends what the system takes, and leaves the rest to the sender.
  func send(isInside: Bool) {
    switch transport.flush() {
    case .done: break
    case .failed(let reason): end(reason)
    case .wait: if isInside { startSender() }
    }
  }

  // MARK: Sending in the background

  func startSender() {
    guard sender == nil else { return }
    let sender = ClientSender(self)
    self.sender = sender
    loop.startEvents(sender)
  }

  fileprivate func senderEnded(_ sender: ClientSender<Wire>) {
    guard self.sender === sender else { return }
    self.sender = nil
    for task in calls.madeRoom() { loop.wake(task) }
  }
}

/// Sends what the system did not take, as a task without a coroutine of its own. So the callers can
/// read meanwhile: a server that cannot get rid of its answers takes no more requests.
final class ClientSender<Wire: Transport>: CoroutinelessTask {
  private var client: TangoClient<Wire>?

  init(_ client: TangoClient<Wire>) { self.client = client }

  override func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    call.count = 0
    // A connection that ended has no sender, and a new one has another sender.
    if let client, client.sender === self, client.isOpen {
      switch client.transport.flush() {
      case .done: break
      case .failed(let reason): client.end(reason)
      case .wait(let direction):
        do throws(Errno) {
          return try client.transport.wait(for: direction, until: MonotonicTime.never, .send)
        } catch {
          client.end("\(error)")
        }
      }
    }
    state = .finished
    return .results(0)
  }

  override func ended() {
    client?.senderEnded(self)
    client = nil
  }
}

/// Bytes of requests that may wait to be sent before the next one has to wait.
private let mostUnsent = 64 * 1024
