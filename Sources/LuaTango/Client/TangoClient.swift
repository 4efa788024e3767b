import Copas
import LuaConnection
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler

/// A client's connection, and its calls that await their answers.
///
/// One of the coroutines that wait reads for all (``ClientCalls``). Outside the dispatcher a call
/// makes the whole program wait. How requests and answers travel is the transport's business.
final class TangoClient<Wire: Transport>: ProxiedClient {
  let configuration: ClientConfiguration
  let transport: Wire
  let loop: CopasLoop
  var references = RemoteReferences(serverNoticesEnd: Wire.serverNoticesEnd)
  /// As an observer of coroutines that wait; 0 when Lua has collected the connection.
  private(set) var observerNumber: Int32 = 0
  /// Sends what the system did not take at once.
  var sender: ClientSender<Wire>?
  var observesRoundEnd = false
  /// Counts what was done for no call: answers were dropped, or messages that were none.
  var vainRounds: UInt32 = 0
  /// An answer is being read. That allocates memory in Lua, and so may run a finalizer. It must not
  /// take the answer away.
  var isReading = false
  /// The connection was ended meanwhile.
  var endsAfterReading = false
  // The last one, because its size depends on the transport's.
  var calls: ClientCalls<Wire.Calls>

  init(_ configuration: ClientConfiguration, _ transport: Wire, loop: CopasLoop) {
    self.configuration = configuration
    self.transport = transport
    self.loop = loop
    calls = ClientCalls(limit: configuration.limits.callsInFlight)
    observerNumber = loop.addObserver(self)
  }

  var peer: String { transport.peer }
  @inline(__always)
  var isOpen: Bool { transport.isOpen }

  /// False when that was done before.
  func stopObserving() -> Bool {
    guard observerNumber != 0 else { return false }
    loop.removeObserver(observerNumber)
    observerNumber = 0
    return true
  }

  // MARK: Calls

  func run(_ call: LuaCall) throws(LuaFailure) -> CallProgress {
    switch call.callStep {
    case nil:
      try checkOutside(call)
      try loop.checkMayWait(call)
      if let outcome = try ensureOpen(call) { return .unfinished(outcome) }
      return try request(call)
    case .exchange, .room, .send: return try exchange(call, WaitingCall(on: call))
    case .serialize:
      try collectSerialized(call)
      return try startExchange(call)
    case .unserialize: return try unserialized(call, answerAt: WaitingCall.answer)
    case .open?, .pause?, .join?:
      let step = call.callStep!
      if let outcome = try transport.proceedOpening(call, step, observer: observerNumber) {
        return .unfinished(outcome)
      }
      return try request(call)
    }
  }

  @inline(__always)
  private func request(_ call: LuaCall) throws(LuaFailure) -> CallProgress {
    if let outcome = try collectRequest(call) { return .unfinished(outcome) }
    return try startExchange(call)
  }

  @inline(__always)
  private func startExchange(_ call: LuaCall) throws(LuaFailure) -> CallProgress {
    call.count = 1
    // What is sent from here on is not lost with what was.
    takeLoss(looks: true)
    let deadline = deadlineOfCall()
    let id: Int
    if loop.isInside(call), let task = loop.currentTask {
      id = calls.table.add(.coroutine(task))
      loop.observeRemoval(by: observerNumber)
    } else {
      id = calls.table.add(.program)
    }
    let waiting = WaitingCall(id: id, deadline: deadline)
    waiting.push(onto: call)
    commit(id)
    return try exchange(call, waiting)
  }

  @inline(__always)
  func deadlineOfCall() -> Int64 {
    MonotonicTime.deadline(after: configuration.timeout, from: MonotonicTime.now())
  }

  // MARK: Futures

  func begin(_ call: LuaCall, _ future: TangoFuture) throws(LuaFailure) -> LuaOutcome {
    do throws(LuaFailure) {
      switch call.callStep {
      case nil:
        try checkOutside(call)
        if let outcome = try ensureOpen(call) { return outcome }
        if let outcome = try collectRequest(call) { return outcome }
        add(call, future)
      case .serialize:
        try collectSerialized(call)
        add(call, future)
      case .open?, .pause?, .join?:
        let step = call.callStep!
        if let outcome = try transport.proceedOpening(call, step, observer: observerNumber) {
          return outcome
        }
        if let outcome = try collectRequest(call) { return outcome }
        add(call, future)
      case .exchange, .unserialize, .room, .send: break
      }
      return try leave(call, future)
    } catch {
      future.fail("not sent")
      throw error
    }
  }

  /// Adds the call, whose request was collected, to those in flight.
  private func add(_ call: LuaCall, _ future: TangoFuture) {
    call.count = 1
    // What is sent from here on is not lost with what was.
    takeLoss(looks: true)
    future.deadline = deadlineOfCall()
    future.id = calls.table.add(.future(future))
    commit(future.id)
  }

  func wait(_ call: LuaCall, _ future: TangoFuture) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .returned { return try unserialized(call, answerAt: 2).outcome }
    let isInside = loop.isInside(call)
    if future.isPending, isInside, !loop.mayWait { look(call) }
    if future.isPending {
      try checkOutside(call)
      try loop.checkMayWait(call)
      if isInside, let task = loop.currentTask, !future.waiters.contains(task) {
        future.waiters.append(task)
        loop.observeRemoval(by: observerNumber)
      }
    }
    do throws(LuaFailure) {
      if let outcome = try advance(call, until: future) { return outcome }
    } catch {
      if isInside { stopWaiting(future) }
      throw error
    }
    if isInside { stopWaiting(future) }
    switch future.state {
    case .pending: throw closed(call)
    case .failed(let reason): throw call.failure("\(peer): \(reason)")
    case .answered:
      call.count = 1
      return try unpack(call, future).outcome
    }
  }

  /// Sends and receives until the future is not pending. An outcome when that has to wait.
  private func advance(
    _ call: LuaCall, until future: TangoFuture
  ) throws(LuaFailure) -> LuaOutcome? {
    let waiting = WaitingCall(id: future.id, deadline: future.deadline)
    while future.isPending {
      switch try advance(call, waiting, .exchange) {
      case .again: continue
      case .suspended(let outcome): return outcome
      case .answer: throw fail(call, "bad answer: out of turn")
      }
    }
    return nil
  }

  private func stopWaiting(_ future: TangoFuture) {
    future.waiters.removeAll { $0 == loop.currentTask }
    passOnReading()
  }

  func look(_ call: LuaCall) {
    let isInside = loop.isInside(call)
    guard transport.isReady, calls.reader == nil, !isReading else { return }
    takeLoss(looks: false)
    send(isInside: isInside)
    // What comes may be for no call. There is an end to that.
    var rounds = 0
    while isOpen, rounds < mostRounds {
      rounds += 1
      switch transport.next {
      case .answer(let answer):
        switch calls.deliver(answer, readerWaitsFor: 0) {
        case .future(let future):
          deliver(answer, to: future)
          rounds = 0
        case .own, .unwanted: transport.consume(answer)
        case .handOver(let task):
          if let task { loop.wake(task) }
          return
        }
      case .invalid(let error): end("bad answer: \(error)")
      case .incomplete(let needed):
        switch transport.receive(needed: needed, mayRead: !isInside || transport.mayRead) {
        case .done:
          takeLoss(looks: false)
          send(isInside: isInside)
        case .wait: return
        case .failed(let reason): end(reason)
        }
      }
    }
  }

  // MARK: Opening

  /// Makes a new connection if there is none and the program wants that. Nil when there is one.
  @inline(__always)
  private func ensureOpen(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    if transport.isReady, !configuration.reconnects { return nil }
    return try reopen(call)
  }

  private func reopen(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome? {
    if transport.isReady {
      // A finalizer may call while an answer is read, which must stay where it is.
      guard !isReading, calls.isIdle, transport.hasHungUp() else { return nil }
      end("closed")
    }
    guard configuration.reconnects else { throw closed(call) }
    try loop.checkMayWait(call)
    return try transport.open(call, observer: observerNumber)
  }

  /// Outside the dispatcher nothing wakes a coroutine.
  @inline(__always)
  func checkOutside(_ call: LuaCall) throws(LuaFailure) {
    guard !loop.isInside(call) else { return }
    if isReading {
      throw call.failure("tango: a finalizer cannot call while an answer is being read")
    }
    guard calls.isInUse || transport.isOpenedByCoroutine else { return }
    throw call.failure(
      "tango: Copas threads await answers on this connection; call from a thread, too")
  }
}

extension CopasLoop {
  /// - Throws: a Lua error in a coroutine that cannot be suspended now. It is raised before
  ///   anything has begun: after an attempt to wait nothing would show that the coroutine does not.
  @inline(__always)
  func checkMayWait(_ call: LuaCall) throws(LuaFailure) {
    guard isInside(call), !mayWait else { return }
    throw cannotWait(call)
  }

  private func cannotWait(_ call: LuaCall) -> LuaFailure {
    call.failure(
      "attempt to yield across a C-call boundary: a remote call cannot wait inside a function such as "
        + "table.sort or string.gsub")
  }
}

/// How often a look goes on though no answer that the program wants has come.
private let mostRounds = 1000
