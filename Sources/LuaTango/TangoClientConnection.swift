import CMilongaLua
import CMilongaShims
import Copas
import LuaCodec
import LuaConnection
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler
import SystemPackage

/// A client's connection over TCP, and its calls that await their answers.
///
/// Answers come in the order of the calls. One of those who wait reads for all; when it has its own answer, the one
/// that has waited longest takes over. Outside the dispatcher a call blocks.
final class TangoClientConnection: TangoCaller, ThreadObserver, RoundEndObserver {
  let peer: String
  private(set) var connection: TangoConnection!
  let loop: CopasLoop
  private let sockets: SocketLibrary
  private let spare: SpareBuffer
  private var socketReference: Int32 = 0
  /// As an observer of coroutines that wait for their answers.
  private(set) var observerNumber: Int32 = 0
  private var calls: CallsInFlight<Entry>
  private var lastID = 0
  /// No call awaits its answer.
  var isIdle: Bool { calls.count == 0 }
  /// The coroutine that reads for all.
  private var reader: TaskID?
  /// Coroutines that wait until what they want to send has room.
  private var waitingForRoom: [TaskID] = []
  /// Sends what the system did not take at once.
  private var sender: Sender?
  private var observesRoundEnd = false
  var attempt: Attempt?
  /// Coroutines that wait for the attempt of another one.
  var waitingForConnection: [TaskID] = []
  /// Seconds to wait before the next attempt.
  var pause = shortestPause

  /// A call that awaits its answer.
  private struct Entry {
    let id: Int
    /// Who waits: a coroutine, or (`nil`) the program itself.
    let task: TaskID?
    /// What the answer is for in their place.
    let future: TangoFuture?

    /// Whether somebody waits.
    var isAwaited: Bool { future == nil || !future!.waiters.isEmpty }
  }

  /// The places of the stack while a call waits.
  enum Slot {
    static let connection = 1
    static let id = 2
    static let deadline = 3
    static let generation = 4
    /// The answer.
    static let status = 5
  }

  /// What a call does next when it runs again.
  enum Step: Int {
    case exchange = 1
    case serialize
    case unserialize
    case room
    case open
    case pause
    case othersConnect
  }

  init(
    _ configuration: ClientConfiguration, sockets: SocketLibrary, loop: CopasLoop,
    spare: SpareBuffer
  ) {
    self.sockets = sockets
    self.loop = loop
    self.spare = spare
    peer = "\(configuration.address):\(configuration.port)"
    calls = CallsInFlight(limit: configuration.limits.callsInFlight)
    super.init(configuration)
    observerNumber = loop.addObserver(self)
  }

  /// Lua has collected the connection: lets go of the socket.
  override func release() {
    guard observerNumber != 0 else { return }
    loop.removeObserver(observerNumber)
    observerNumber = 0
    end("closed")
    configuration.release(loop.main)
    dropSocket()
  }

  override func close() { end("closed") }

  var isOpen: Bool { connection != nil && connection.isOpen }

  /// Makes a socket of its own for a new connection, and pushes it.
  func pushNewSocket(_ call: LuaCall) {
    dropSocket()
    let socket = sockets.tcp.client.push(SocketObject(), onto: call)
    call.pushValue(at: -1)
    socketReference = call.retainTop()
    connection = TangoConnection(
      socket, sockets: sockets, loop: loop, spare: spare, limits: configuration.limits)
  }

  private func dropSocket() {
    connection?.close()
    if socketReference != 0 { loop.main.release(socketReference) }
    socketReference = 0
  }

  // MARK: Calls

  override func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    hasFinished = false
    if call.phase == .entered { return try begin(call) }
    switch Step(rawValue: call.step)! {
    case .exchange: return try exchange(call)
    case .serialize:
      try collectSerialized(call)
      return try startExchange(call)
    case .unserialize: return try unserialized(call)
    case .room: return try exchange(call)
    case .open, .pause, .othersConnect:
      if let outcome = try establish(call) { return outcome }
      return try serializeRequest(call)
    }
  }

  private func begin(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    try checkOutside(call)
    try loop.checkMayWait(call)
    if let outcome = try ensureConnection(call) { return outcome }
    return try serializeRequest(call)
  }

  private func serializeRequest(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if let outcome = try collectRequest(call) { return outcome }
    return try startExchange(call)
  }

  override func begin(
    _ call: LuaCall, _ future: TangoFuture
  ) throws(LuaFailure) -> LuaOutcome {
    do throws(LuaFailure) {
      switch call.phase == .entered ? nil : Step(rawValue: call.step)! {
      case nil:
        try checkOutside(call)
        if let outcome = try ensureConnection(call) { return outcome }
        if let outcome = try collectRequest(call) { return outcome }
        try addFuture(call, future)
      case .serialize:
        try collectSerialized(call)
        try addFuture(call, future)
      case .open, .pause, .othersConnect:
        if let outcome = try establish(call) { return outcome }
        if let outcome = try collectRequest(call) { return outcome }
        try addFuture(call, future)
      default: break
      }
      return try leave(call, future, future.mayRest)
    } catch {
      future.fail("not sent")
      throw error
    }
  }

  /// Adds the call, whose request was collected, to those in flight.
  private func addFuture(_ call: LuaCall, _ future: TangoFuture) throws(LuaFailure) {
    call.count = 1
    lastID += 1
    future.id = lastID
    future.deadline = MonotonicTime.deadline(
      after: configuration.timeout, from: MonotonicTime.now())
    _ = calls.add(Entry(id: lastID, task: nil, future: future))
  }

  /// The request is to leave, with others if it may; when too much waits to be sent, it waits, too.
  private func leave(
    _ call: LuaCall, _ future: TangoFuture, _ mayRest: Bool
  ) throws(LuaFailure) -> LuaOutcome {
    let isInside = loop.isInside(call)
    if !mayRest || connection.output.count > mostUnsent {
      if isInside, connection.output.count <= mostUnsent {
        sendAtRoundEnd()
      } else {
        send(isInside: isInside)
      }
    }
    if isInside, !waitingForRoom.isEmpty { waitingForRoom.removeAll { $0 == loop.currentTask } }
    // Who cannot wait need not: so the next one has to wait for more.
    while connection.output.count > mostUnsent, future.isPending, !isInside || loop.mayWait {
      if isInside, let reader, reader != loop.currentTask {
        if call.phase == .resumed, loop.hasTimedOut { throw timeOut(call, future.id) }
        waitingForRoom.append(loop.currentTask!)
        loop.observeRemoval(by: observerNumber)
        return loop.sleep(until: future.deadline, state: Step.room.rawValue)
      }
      if let outcome = try advance(call, future.id, future.deadline, .room).outcome {
        return outcome
      }
    }
    if isInside, reader == loop.currentTask { wakeNext() }
    call.count = 1
    return .results(1)
  }

  private func sendAtRoundEnd() {
    guard !observesRoundEnd else { return }
    observesRoundEnd = true
    loop.observeRoundEnd(by: self)
  }

  func roundEnded() {
    observesRoundEnd = false
    guard isOpen else { return }
    releaseAbandonedReferences(loop.main)
    send(isInside: true)
  }

  override func hasAbandonedReferences() { if loop.isStepping { sendAtRoundEnd() } }

  override func sendRested(_ call: LuaCall) { if isOpen { send(isInside: loop.isInside(call)) } }

  /// Sends what the system takes, and leaves the rest to the sender.
  private func send(isInside: Bool) {
    switch connection.flush() {
    case .done: break
    case .failed(let reason): end(reason)
    case .wait: if isInside { startSender() }
    }
  }

  // MARK: Requests

  /// Collects the request on the stack from 2 on. An outcome when the program's own function has to do that.
  private func collectRequest(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    releaseAbandonedReferences(call)
    try checkRoom(call)
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
      try connection.output.collect(configuration.codec.writes, &message)
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
    guard isOpen else { throw call.failure("\(peer): closed") }
    try checkRoom(call)
    do throws(SerializationFailure) {
      try connection.output.collect(body: body)
    } catch {
      throw call.failure("tango: \(error)")
    }
  }

  /// Tells the server which objects nobody has any more; the answers are for nobody.
  private func releaseAbandonedReferences(_ call: LuaCall) {
    let ids = takeAbandonedReferences()
    for (position, id) in ids.enumerated() {
      // Half of the room is the program's.
      guard calls.count < calls.limit / 2, call.reserve(8) else {
        return putBack(abandonedReferences: ids[position...])
      }
      let top = call.count
      defer { call.count = top }
      call.push("tango.ref_release")
      id.withUnsafeBytes { call.push($0) }
      if let serialize = configuration.codec.serialize {
        call.gatherElements(from: top + 1)
        call.pushRetained(serialize)
        call.insert(at: -2)
        guard milonga_pcall(call.state, 1, 1, 0) == LUA_OK, call.type(at: -1) == .string,
          (try? connection.output.collect(body: call.bytesIfString(at: -1)!)) != nil
        else { continue }
      } else {
        var message = StackMessage(
          call: call, status: nil, index: top + 1, last: top + 2, limits: configuration.limits)
        guard (try? connection.output.collect(configuration.codec.writes, &message)) != nil else {
          continue
        }
      }
      if let number = calls.add(Entry(id: 0, task: nil, future: nil)) {
        _ = calls.abandon(number)
      }
    }
  }

  private func checkRoom(_ call: LuaCall) throws(LuaFailure) {
    guard calls.count >= calls.limit else { return }
    throw call.failure(
      "tango: \(calls.limit) calls await their answers on this connection already")
  }

  /// Outside the dispatcher nobody can be woken.
  private func checkOutside(_ call: LuaCall) throws(LuaFailure) {
    guard !loop.isInside(call), reader != nil || !waitingForRoom.isEmpty || attempt?.task != nil
    else { return }
    throw call.failure(
      "tango: Copas threads await answers on this connection; call from a thread, too")
  }

  private func startExchange(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    call.count = Slot.connection
    let isInside = loop.isInside(call)
    lastID += 1
    let deadline = MonotonicTime.deadline(
      after: configuration.timeout, from: MonotonicTime.now())
    _ = calls.add(Entry(id: lastID, task: isInside ? loop.currentTask : nil, future: nil))
    if isInside { loop.observeRemoval(by: observerNumber) }
    call.push(lastID)
    call.push(Int(deadline))
    call.push(generation)
    return try exchange(call)
  }

  // MARK: Answers

  /// Sends and receives until the answer to this call is there.
  private func exchange(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let id = try call.integer(at: Slot.id)
    let deadline = Int64(try call.integer(at: Slot.deadline))
    // The connection may have been lost, and another one made.
    guard try call.integer(at: Slot.generation) == generation else {
      throw call.failure("\(peer): closed")
    }
    while true {
      switch try advance(call, id, deadline, .exchange) {
      case .again: continue
      case .suspended(let outcome): return outcome
      case .answer(let headerBytes, let bodyBytes):
        wakeNext()
        return try take(call, headerBytes, bodyBytes)
      }
    }
  }

  private enum Advance {
    case again
    /// The answer to the call lies at the start of what was received.
    case answer(Int, Int)
    case suspended(LuaOutcome)

    var outcome: LuaOutcome? {
      if case .suspended(let outcome) = self { return outcome }
      return nil
    }
  }

  /// Sends and receives as far as that goes, or waits.
  ///
  /// - Parameter id: the call for which this is done; it is given up when its deadline has passed.
  private func advance(
    _ call: LuaCall, _ id: Int, _ deadline: Int64, _ step: Step
  ) throws(LuaFailure) -> Advance {
    guard isOpen else { throw call.failure("\(peer): closed") }
    let isInside = loop.isInside(call)
    let isTimedOut = call.phase == .resumed && loop.hasTimedOut
    var directions: Readiness = .readable
    switch connection.flush() {
    case .done: break
    case .failed(let reason): throw fail(call, reason)
    case .wait(let direction):
      if isInside { startSender() } else if direction == .write { directions.insert(.writable) }
    }
    if isInside {
      if reader == nil { reader = loop.currentTask }
      if reader != loop.currentTask {
        // Somebody else reads.
        if isTimedOut { throw timeOut(call, id) }
        return .suspended(loop.sleep(until: deadline, state: step.rawValue))
      }
    }
    switch connection.nextFrame {
    case .frame(let headerBytes, let bodyBytes):
      if let entry = calls.oldest, entry.future == nil, entry.id != id {
        // That of somebody who has called after this one, which only makes room.
        reader = entry.task
        if let reader { loop.wake(reader) }
        return .again
      }
      switch calls.next() {
      case .caller(let entry):
        guard let future = entry.future else { return .answer(headerBytes, bodyBytes) }
        future.deliver(connection.body(headerBytes, bodyBytes))
        for waiter in future.waiters { loop.wake(waiter) }
      case .abandoned, .none: break
      }
      connection.consume(headerBytes + bodyBytes)
      return .again
    case .invalid(let error): throw fail(call, "bad answer: \(error)")
    case .incomplete(let needed):
      // What the dispatcher knows of the socket counts only while it runs.
      let mayRead = !isInside || connection.stream.mayRead
      if isInside, mayRead, let outcome = loop.turnOver(state: step.rawValue) {
        return .suspended(outcome)
      }
      switch connection.receive(needed: needed, mayRead: mayRead) {
      case .done: return .again
      case .failed(let reason): throw fail(call, reason)
      case .wait(let direction):
        if isInside {
          if isTimedOut { throw timeOut(call, id) }
          do throws(Errno) {
            return .suspended(
              try connection.stream.wait(for: direction, until: deadline, state: step.rawValue))
          } catch {
            throw fail(call, "\(error)")
          }
        }
        if direction == .write { directions.insert(.writable) }
        let failure: SocketFailure?
        do throws(LuaFailure) {
          failure = try SocketTimeouts.wait(
            connection.stream.descriptor, for: directions, until: deadline, call)
        } catch {
          // Ctrl-C gives the call up; the connection can still be used.
          abandon(call, id, "interrupted!")
          throw error
        }
        guard let failure else { return .again }
        throw failure == .timeout ? timeOut(call, id) : fail(call, failure.text)
      }
    }
  }

  /// Reads the answer onto the stack.
  private func take(
    _ call: LuaCall, _ headerBytes: Int, _ bodyBytes: Int
  ) throws(LuaFailure) -> LuaOutcome {
    let body = connection.body(headerBytes, bodyBytes)
    if let unserialize = configuration.codec.unserialize {
      call.pushRetained(unserialize)
      call.push(body)
      connection.consume(headerBytes + bodyBytes)
      return .call(arguments: 1, results: 1, state: Step.unserialize.rawValue)
    }
    do throws(CodecError) {
      try configuration.codec.reads.read(body, limits: configuration.limits.codec, call)
    } catch {
      throw fail(call, "bad answer: \(error)")
    }
    connection.consume(headerBytes + bodyBytes)
    return try finish(call, status: Slot.status)
  }

  private func unserialized(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    try spreadAnswer(call)
    return try finish(call, status: Slot.status)
  }

  // MARK: Futures

  override func wait(
    _ call: LuaCall, _ future: TangoFuture
  ) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .returned {
      try spreadAnswer(call)
      return try finish(call, status: 2)
    }
    let isInside = loop.isInside(call)
    if future.isPending, isInside, !loop.mayWait { look(call) }
    if future.isPending {
      try checkOutside(call)
      try loop.checkMayWait(call)
      if isInside, !future.waiters.contains(loop.currentTask!) {
        future.waiters.append(loop.currentTask!)
        loop.observeRemoval(by: observerNumber)
      }
    }
    defer { if isInside { stopWaiting(future) } }
    while future.isPending {
      switch try advance(call, future.id, future.deadline, .exchange) {
      case .again: continue
      case .suspended(let outcome):
        // Still waiting.
        keepsWaiting = true
        return outcome
      case .answer: throw fail(call, "bad answer: out of turn")
      }
    }
    switch future.state {
    case .pending: throw call.failure("\(peer): closed")
    case .failed(let reason): throw call.failure("\(peer): \(reason)")
    case .answered(let body):
      call.count = 1
      return try unpack(call, body)
    }
  }

  /// Set when a future's waiter is suspended and not done.
  private var keepsWaiting = false

  private func stopWaiting(_ future: TangoFuture) {
    if keepsWaiting {
      keepsWaiting = false
      return
    }
    future.waiters.removeAll { $0 == loop.currentTask }
    if reader == loop.currentTask { wakeNext() }
  }

  override func look(_ call: LuaCall) {
    let isInside = loop.isInside(call)
    guard isOpen, reader == nil else { return }
    send(isInside: isInside)
    while isOpen {
      switch connection.nextFrame {
      case .frame(let headerBytes, let bodyBytes):
        if case .caller(let entry) = calls.next() {
          entry.future?.deliver(connection.body(headerBytes, bodyBytes))
        }
        connection.consume(headerBytes + bodyBytes)
      case .invalid(let error): end("bad answer: \(error)")
      case .incomplete(let needed):
        switch connection.receive(needed: needed, mayRead: !isInside || connection.stream.mayRead) {
        case .done: continue
        case .wait: return
        case .failed(let reason): end(reason)
        }
      }
    }
  }

  // MARK: Failures

  /// This call is given up; the connection can still be used.
  private func timeOut(_ call: LuaCall, _ id: Int) -> LuaFailure {
    abandon(call, id, "timeout")
    return call.failure("\(peer): timeout")
  }

  private func abandon(_ call: LuaCall, _ id: Int, _ reason: String) {
    calls.abandon {
      guard $0.id == id else { return false }
      $0.future?.fail(reason)
      return true
    }
    if loop.isInside(call), reader == loop.currentTask { wakeNext() }
  }

  /// The connection cannot be used any more: everybody who waits is told.
  private func fail(_ call: LuaCall, _ reason: String) -> LuaFailure {
    end(reason)
    return call.failure("\(peer): \(reason)")
  }

  func end(_ reason: String) {
    reader = nil
    generation += 1
    _ = takeAbandonedReferences()
    for entry in calls.failAll() {
      if let task = entry.task { loop.wake(task) }
      guard let future = entry.future else { continue }
      future.fail(reason)
      for waiter in future.waiters { loop.wake(waiter) }
    }
    for task in waitingForRoom { loop.wake(task) }
    waitingForRoom = []
    // Its connection is gone, and the next one may have its own.
    sender = nil
    connection?.close()
  }

  /// A coroutine that was removed while it waited reads no more: another one does.
  func ended(_ task: TaskID) {
    calls.abandon {
      $0.future?.waiters.removeAll { $0 == task }
      return $0.task == task
    }
    waitingForRoom.removeAll { $0 == task }
    if reader == task { wakeNext() }
    attemptEnded(by: task)
  }

  /// Who has waited longest reads. Those who wait to send count, too: the server may take no more before somebody reads
  /// what it has answered.
  private func wakeNext() {
    reader = nil
    if let entry = calls.first(where: { $0.isAwaited }) {
      reader = entry.task ?? entry.future?.waiters.first
    } else if !waitingForRoom.isEmpty {
      reader = waitingForRoom.removeFirst()
    }
    if let reader { loop.wake(reader) }
  }

  // MARK: Sending in the background

  /// Sends what the system did not take, as a task without a coroutine of its own: so the callers can
  /// read meanwhile. A server that cannot get rid of its answers takes no more requests.
  private final class Sender: CoroutinelessTask {
    private var client: TangoClientConnection?
    private let connection: TangoConnection

    init(_ client: TangoClientConnection) {
      self.client = client
      connection = client.connection
    }

    override func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
      call.count = 0
      if connection.isOpen {
        switch connection.flush() {
        case .done: break
        case .failed(let reason): fail(reason)
        case .wait(let direction):
          do throws(Errno) {
            return try connection.stream.wait(for: direction, until: MonotonicTime.never)
          } catch {
            fail("\(error)")
          }
        }
      }
      state = .finished
      return .results(0)
    }

    private func fail(_ reason: String) {
      if let client, client.connection === connection { client.end(reason) }
    }

    override func ended() {
      client?.senderEnded(self)
      client = nil
    }
  }

  private func startSender() {
    guard sender == nil else { return }
    let sender = Sender(self)
    self.sender = sender
    loop.startEvents(sender)
  }

  private func senderEnded(_ sender: Sender) {
    guard self.sender === sender else { return }
    self.sender = nil
    for task in waitingForRoom { loop.wake(task) }
    waitingForRoom = []
  }
}

extension TangoCaller {
  /// The answer that `unserialize` returned makes way for its elements.
  final func spreadAnswer(_ call: LuaCall) throws(LuaFailure) {
    guard call.type(at: -1) == .table else {
      throw call.failure("tango: unserialize returned no table")
    }
    call.spreadElements(limit: configuration.limits.arguments + 1)
  }

  /// Reads an answer that was kept in the registry, onto the stack behind the future. Runs again in phase `.returned` with
  /// the table that the program's own `unserialize` made.
  final func unpack(_ call: LuaCall, _ body: Int32) throws(LuaFailure) -> LuaOutcome {
    if let unserialize = configuration.codec.unserialize {
      call.pushRetained(unserialize)
      call.pushRetained(body)
      return .call(arguments: 1, results: 1, state: 0)
    }
    call.pushRetained(body)
    let bytes = call.bytesIfString(at: -1)!
    do throws(CodecError) {
      try configuration.codec.reads.read(bytes, limits: configuration.limits.codec, call)
    } catch {
      throw call.failure("tango: bad answer: \(error)")
    }
    return try finish(call, status: 3)
  }

  /// The answer is on the stack: a status at the place `status`, then results or an error value.
  final func finish(_ call: LuaCall, status: Int) throws(LuaFailure) -> LuaOutcome {
    hasFinished = true
    if call.count >= status, call.type(at: status) == .boolean, call.boolean(at: status) {
      return .results(call.count - status)
    }
    call.count = status + 1
    throw call.type(at: -1) == .string ? call.failureWithPosition() : .raised
  }
}

extension CopasLoop {
  /// - Throws: a Lua error in a coroutine that cannot be suspended now. Raised before anything has begun: after an attempt to
  ///   wait nobody would know that the coroutine does not.
  func checkMayWait(_ call: LuaCall) throws(LuaFailure) {
    guard isInside(call), !mayWait else { return }
    throw call.failure(
      "attempt to yield across a C-call boundary: a remote call cannot wait inside a function such as "
        + "table.sort or string.gsub")
  }
}

/// Bytes of requests that may wait to be sent before the next one has to wait.
private let mostUnsent = 64 * 1024
/// Seconds before the second attempt to connect.
let shortestPause = 0.05
