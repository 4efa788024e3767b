import CMilongaShims
import Copas
import Glibc
import LuaCodec
import LuaConnection
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler
import SystemPackage

/// A client's connection over ZeroMQ, and its calls that await their answers.
///
/// A request is the number of the call, an empty part and the message. Servers give all back that is in front of the
/// empty part: so many calls may be in flight, their answers may come in any order, and one that comes too late is
/// known for what it is.
final class ZMQClient: TangoCaller, ThreadObserver, RoundEndObserver {
  private let socket: ZMQSocket
  private let loop: CopasLoop
  private let peer: String
  private var isWatched = false
  private var observerNumber: Int32 = 0
  private var output: MessageOutput
  /// Requests that libzmq did not take yet: nobody is connected, or too many wait.
  private var outgoing: [(id: UInt64, body: [UInt8])] = []
  /// Requests that libzmq took, and whose answers are to come. One that was given up counts no more, for its answer
  /// may never come.
  private var unanswered: Set<UInt64> = []
  private var calls: [UInt64: TangoFuture] = [:]
  /// No call is overdue before.
  private var nextExpiry: Int64 = 0
  private var lastID: UInt64 = 0
  /// The ids of the program's references: the server does not notice when its clients go.
  private var held: Set<[UInt8]> = []
  private var observesRoundEnd = false
  /// The coroutine that receives for all.
  private var reader: TaskID?

  private enum Step: Int {
    // 0 is that of an answer's `unserialize`.
    case exchange = 1
    case serialize
  }

  init(
    _ configuration: ClientConfiguration, _ socket: ZMQSocket, loop: CopasLoop, spare: SpareBuffer
  ) {
    self.socket = socket
    self.loop = loop
    peer = configuration.url
    output = MessageOutput(limits: configuration.limits, isFramed: false, spare: spare)
    super.init(configuration)
    observerNumber = loop.addObserver(self)
  }

  override func release() {
    guard observerNumber != 0 else { return }
    loop.removeObserver(observerNumber)
    observerNumber = 0
    close()
    configuration.release(loop.main)
  }

  override func close() {
    guard socket.isOpen else { return }
    outgoing = []
    for id in takeAbandonedReferences() + held {
      // As many as libzmq takes.
      unanswered = []
      releaseReference(id, loop.main)
    }
    held = []
    end("closed")
    if isWatched { loop.forget(socket.descriptor) }
    isWatched = false
    socket.close()
  }

  // MARK: Requests

  override func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    hasFinished = false
    if call.phase == .returned, call.step == 0 {
      try spreadAnswer(call)
      return try finish(call, status: 2)
    }
    switch call.phase == .entered ? nil : Step(rawValue: call.step) {
    case nil:
      try loop.checkMayWait(call)
      if let outcome = try collectRequest(call) { return outcome }
    case .serialize: try collectSerialized(call)
    case .exchange:
      let id = UInt64(bitPattern: Int64(try call.integer(at: 2)))
      guard let future = calls[id] else { throw call.failure("\(peer): closed") }
      return try exchange(call, future)
    }
    let future = TangoFuture(self, main: loop.main)
    add(future)
    call.count = 1
    call.push(future.id)
    return try exchange(call, future)
  }

  override func begin(
    _ call: LuaCall, _ future: TangoFuture
  ) throws(LuaFailure) -> LuaOutcome {
    do throws(LuaFailure) {
      if call.phase == .entered {
        if let outcome = try collectRequest(call) { return outcome }
      } else {
        try collectSerialized(call)
      }
    } catch {
      future.fail("not sent")
      throw error
    }
    add(future)
    call.count = 1
    return .results(1)
  }

  private func checkCall(_ call: LuaCall) throws(LuaFailure) {
    guard socket.isOpen else { throw call.failure("\(peer): closed") }
    if calls.count >= configuration.limits.callsInFlight { expire() }
    guard calls.count < configuration.limits.callsInFlight else {
      throw call.failure(
        "tango: \(configuration.limits.callsInFlight) calls await their answers on this connection "
          + "already")
    }
    try checkOutside(call)
  }

  /// Outside the dispatcher nobody can be woken.
  private func checkOutside(_ call: LuaCall) throws(LuaFailure) {
    guard !loop.isInside(call), reader != nil else { return }
    throw call.failure(
      "tango: Copas threads await answers on this connection; call from a thread, too")
  }

  private func collectRequest(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    try checkCall(call)
    releaseAbandonedReferences(call)
    if let serialize = configuration.codec.serialize {
      call.gatherElements(from: 2)
      call.pushRetained(serialize)
      call.insert(at: 2)
      return .call(arguments: 1, results: 1, state: Step.serialize.rawValue)
    }
    let top = call.count
    var message = StackMessage(
      call: call, status: nil, index: 2, last: top, limits: configuration.limits)
    do throws(SerializationFailure) {
      try output.collect(configuration.codec.writes, &message)
    } catch {
      call.count = top
      let path = call.stringIfString(at: 2) ?? "?"
      throw call.failure("tango: argument #\(message.index - 2) of '\(path)': \(error)")
    }
    return nil
  }

  private func collectSerialized(_ call: LuaCall) throws(LuaFailure) {
    guard call.type(at: -1) == .string, let body = call.bytesIfString(at: -1) else {
      throw call.failure("tango: serialize returned no string")
    }
    try checkCall(call)
    do throws(SerializationFailure) {
      try output.collect(body: body)
    } catch {
      throw call.failure("tango: \(error)")
    }
  }

  /// Sends the request that was collected.
  private func add(_ future: TangoFuture) {
    // What is sent from here on is not lost with what was.
    _ = takeLoss(socket.events)
    lastID += 1
    future.id = Int(lastID)
    future.deadline = MonotonicTime.deadline(
      after: configuration.timeout, from: MonotonicTime.now())
    nextExpiry = min(nextExpiry, future.deadline)
    calls[lastID] = future
    sendCollected(lastID)
  }

  private func sendCollected(_ id: UInt64) {
    output.writer.buffer.withUnsafeBytes { body in
      if !outgoing.isEmpty || !send(id, body) { outgoing.append((id, Array(body))) }
    }
    // Sending takes notice of what has happened meanwhile, of which the descriptor does not tell any more.
    if reader != nil, isWatched, hasWork() { loop.notify(socket.descriptor) }
    output.writer.buffer.removeFirst(output.count)
    output.spare.giveBack(&output.writer.buffer)
  }

  /// Whether libzmq took the request. It has so many at most, for it drops answers that a client is slow to take.
  private func send(_ id: UInt64, _ body: UnsafeRawBufferPointer) -> Bool {
    if unanswered.count >= mostUnanswered { expire() }
    guard unanswered.count < mostUnanswered else { return false }
    var number = id
    let code = withUnsafeBytes(of: &number) { socket.send($0, more: true) }
    guard code == 0 else { return code != EAGAIN }
    _ = socket.send([], more: true)
    _ = socket.send(body, more: false)
    unanswered.insert(id)
    return true
  }

  // MARK: References

  override func hold(_ id: UnsafeRawBufferPointer) { held.insert(Array(id)) }

  override func letGo(_ id: UnsafeRawBufferPointer) { held.remove(Array(id)) }

  override func hasAbandonedReferences() {
    guard loop.isStepping, !observesRoundEnd else { return }
    observesRoundEnd = true
    loop.observeRoundEnd(by: self)
  }

  func roundEnded() {
    observesRoundEnd = false
    if socket.isOpen { releaseAbandonedReferences(loop.main) }
  }

  private func releaseAbandonedReferences(_ call: LuaCall) {
    for id in takeAbandonedReferences() { releaseReference(id, call) }
  }

  /// Tells the server; the answer is nobody's.
  private func releaseReference(_ id: [UInt8], _ call: LuaCall) {
    let top = call.count
    defer { call.count = top }
    guard call.reserve(8) else { return }
    call.push("tango.ref_release")
    id.withUnsafeBytes { call.push($0) }
    if let serialize = configuration.codec.serialize {
      call.gatherElements(from: top + 1)
      call.pushRetained(serialize)
      call.insert(at: -2)
      guard milonga_pcall(call.state, 1, 1, 0) == 0, call.type(at: -1) == .string,
        (try? output.collect(body: call.bytesIfString(at: -1)!)) != nil
      else { return }
    } else {
      var message = StackMessage(
        call: call, status: nil, index: top + 1, last: top + 2, limits: configuration.limits)
      guard (try? output.collect(configuration.codec.writes, &message)) != nil else { return }
    }
    lastID += 1
    sendCollected(lastID)
  }

  // MARK: Answers

  private func exchange(
    _ call: LuaCall, _ future: TangoFuture
  ) throws(LuaFailure) -> LuaOutcome {
    if let outcome = try advance(call, future) { return outcome }
    calls[UInt64(future.id)] = nil
    // The answer is on the stack by then.
    defer { future.release() }
    return try end(call, future)
  }

  override func wait(
    _ call: LuaCall, _ future: TangoFuture
  ) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .returned {
      try spreadAnswer(call)
      return try finish(call, status: 2)
    }
    if let outcome = try advance(call, future) { return outcome }
    return try end(call, future)
  }

  /// The call is over, in one way or another.
  private func end(_ call: LuaCall, _ future: TangoFuture) throws(LuaFailure) -> LuaOutcome {
    switch future.state {
    case .pending: throw call.failure("\(peer): closed")
    case .failed(let reason): throw call.failure("\(peer): \(reason)")
    case .answered(let body):
      call.count = 1
      return try unpack(call, body)
    }
  }

  /// Sends and receives until the call is over. An outcome when that has to wait.
  private func advance(_ call: LuaCall, _ future: TangoFuture) throws(LuaFailure) -> LuaOutcome? {
    let isInside = loop.isInside(call)
    if future.isPending, isInside, !loop.mayWait { _ = transfer() }
    if future.isPending {
      try checkOutside(call)
      try loop.checkMayWait(call)
    }
    if isInside, future.isPending, !future.waiters.contains(loop.currentTask!) {
      future.waiters.append(loop.currentTask!)
      loop.observeRemoval(by: observerNumber)
    }
    while future.isPending {
      guard socket.isOpen else {
        future.fail("closed")
        break
      }
      if isInside {
        if reader == nil { reader = loop.currentTask }
        if reader != loop.currentTask {
          if MonotonicTime.now() >= future.deadline {
            giveUp(future)
          } else {
            return loop.sleep(until: future.deadline, state: Step.exchange.rawValue)
          }
          continue
        }
      }
      let hasMore = transfer()
      guard future.isPending else { break }
      let now = MonotonicTime.now()
      if now >= future.deadline {
        giveUp(future)
        break
      }
      if hasMore {
        if isInside, let outcome = loop.turnOver(state: Step.exchange.rawValue) { return outcome }
        continue
      }
      let next = min(future.deadline, now + lookInterval)
      if isInside {
        do throws(Errno) {
          return try loop.wait(
            on: socket.descriptor, isWatched: &isWatched, for: .read, until: next,
            state: Step.exchange.rawValue)
        } catch {
          end("\(error)")
        }
      } else {
        do throws(LuaFailure) {
          _ = try SocketTimeouts.wait(socket.descriptor, for: .readable, until: next, call)
        } catch {
          future.fail("interrupted!")
          throw error
        }
      }
    }
    if isInside {
      future.waiters.removeAll { $0 == loop.currentTask }
      if reader == loop.currentTask { wakeNext() }
    }
    return nil
  }

  private func giveUp(_ future: TangoFuture) {
    future.fail("timeout")
    forget(UInt64(future.id))
  }

  private func forget(_ id: UInt64) {
    calls[id] = nil
    unanswered.remove(id)
    // What was not sent must not run when nobody waits for it any more.
    outgoing.removeAll { $0.id == id }
  }

  /// Gives up the calls that nobody has asked for, and whose time is over: they must not take the place of others for ever.
  private func expire() {
    let now = MonotonicTime.now()
    guard now >= nextExpiry else { return }
    nextExpiry = .max
    for future in calls.values where future.isPending {
      if future.deadline <= now {
        giveUp(future)
      } else {
        nextExpiry = min(nextExpiry, future.deadline)
      }
    }
  }

  override func look(_ call: LuaCall) {
    guard reader == nil, socket.isOpen else { return }
    _ = transfer()
  }

  override func sendRested(_ call: LuaCall) {}

  /// Sends and receives what can be, up to a limit: deadlines are kept and others served, whatever a server sends.
  ///
  /// - Returns: whether there is more.
  private func transfer() -> Bool {
    var received = 0
    repeat {
      guard received < mostReceived else { return true }
      received += 1
      var sent = 0
      for (id, body) in outgoing {
        guard body.withUnsafeBytes({ send(id, $0) }) else { break }
        sent += 1
      }
      outgoing.removeFirst(sent)
      while received < mostReceived, let first = socket.receive() {
        take(first)
        received += 1
      }
    } while hasWork()
    return false
  }

  /// Whether something can be sent or received. To be asked before each wait.
  private func hasWork() -> Bool {
    let events = socket.events
    // Behind the events: whoever has noticed the end of a connection finds that it was told.
    if takeLoss(events) { return true }
    return events.contains(.input)
      || !outgoing.isEmpty && unanswered.count < mostUnanswered && events.contains(.room)
  }

  /// Takes a message whose first part this is: the number of the call, an empty part, the answer. Everything else is
  /// nothing of ours.
  private func take(_ first: ZMQPart) {
    var parts = [first]
    while parts[parts.count - 1].hasMore {
      guard let part = socket.receive() else { return }
      // All parts come at once, and have to be taken; but not kept.
      if parts.count < 4 { parts.append(part) } else { parts[3] = part }
    }
    guard parts.count == 3, first.bytes.count == 8, parts[1].bytes.isEmpty else { return }
    let id = first.bytes.loadUnaligned(as: UInt64.self)
    unanswered.remove(id)
    guard let future = calls[id] else { return }
    if parts[2].bytes.count > configuration.limits.frameBytes {
      future.fail("bad answer: longer than \(configuration.limits.frameBytes) bytes")
    } else {
      future.deliver(parts[2].bytes)
    }
    // A call that is waited for is found until its result is taken.
    if future.isUserdata { calls[id] = nil }
    for waiter in future.waiters where waiter != reader { loop.wake(waiter) }
  }

  /// If the server is gone, or the way to it: calls that were sent may have run, and are not sent again.
  private func takeLoss(_ events: ZMQSocket.Events) -> Bool {
    guard socket.takeLoss(events) else { return false }
    // What had come before counts.
    while let first = socket.receive() { take(first) }
    if isWatched { loop.forget(socket.descriptor) }
    isWatched = false
    socket.renew()
    unanswered = []
    let unsent = Set(outgoing.map(\.id))
    for (id, future) in calls where !unsent.contains(id) {
      future.fail("closed")
      if future.isUserdata { calls[id] = nil }
      for waiter in future.waiters where waiter != reader { loop.wake(waiter) }
    }
    return true
  }

  private func end(_ reason: String) {
    let all = calls
    calls = all.filter { !$0.value.isUserdata }
    outgoing = []
    reader = nil
    for future in all.values {
      future.fail(reason)
      for waiter in future.waiters { loop.wake(waiter) }
    }
  }

  func ended(_ task: TaskID) {
    for (id, future) in calls where future.waiters.contains(task) {
      future.waiters.removeAll { $0 == task }
      guard !future.isUserdata else { continue }
      forget(id)
      future.release()
    }
    if reader == task { wakeNext() }
  }

  /// Somebody else receives.
  private func wakeNext() {
    reader = nil
    guard let next = calls.values.first(where: { $0.isPending && !$0.waiters.isEmpty }) else {
      return
    }
    reader = next.waiters[0]
    loop.wake(next.waiters[0])
  }
}

/// Half of libzmq's high-water mark.
private let mostUnanswered = 500
/// Answers that are taken before others have their turn.
private let mostReceived = 1000
/// Nanoseconds between looks without need: of a connection that was never one, because the peer broke the rules at its
/// beginning, the descriptor does not tell.
private let lookInterval: Int64 = 1_000_000_000
