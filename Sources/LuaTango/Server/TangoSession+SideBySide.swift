import Copas
import LuaConnection
import LuaSocket
import MilongaLua
import MilongaRPC
import MilongaScheduler

// Calls of one client run side by side. The *reader* is the task that takes requests; it runs the
// functions that are called itself. When one of them waits for something, its task keeps the
// function, and another task becomes the reader. Answers leave in the order of the calls
// (``HeldAnswers``). So a call that does not wait costs no further task.
extension TangoSession {
  /// Who does what.
  struct Roles: ~Copyable {
    /// The task that takes requests; nil until the next one has its first turn.
    var reader: TaskID?
    /// The reader sleeps until a call has ended.
    var isReaderAsleep = false
    /// Tasks that sleep until they are to be the reader.
    var idle: [TaskID] = []
    /// The first task, with whose end the dispatcher closes the connection; nil while it is the
    /// only one.
    var owner: TaskID?
    /// Keeps the socket for the others.
    var socket = LuaStored()
    /// Calls whose functions wait.
    var suspended: [TaskID: HeldAnswers.Part] = [:]
    /// Bytes of the large ones among them.
    var serving = 0
    /// The session's number as an observer; 0 for none.
    var observer: Int32 = 0
    var isFlushDue = false

    /// There are tasks besides the reader, or have been.
    @inline(__always)
    var isShared: Bool { owner != nil }
  }

  // MARK: Tasks

  /// The run of a task when there are several; nil when it is the reader's.
  func runBeside(_ call: LuaCall) -> LuaOutcome? {
    guard let me = loop.currentTask else { return .results(0) }
    left = .busy
    if me == roles.reader {
      roles.isReaderAsleep = false
      return nil
    }
    if let part = roles.suspended[me] {
      if let outcome = responder.ended(call, &part.output) { return outcome }
      if responder.takeBroken() { breakOff(part) }
      ended(me, part)
    } else if progress != .over, roles.reader == nil {
      roles.reader = me
      loop.observeEnd(of: me, by: beginObserving())
      return nil
    }
    return rest(call, me)
  }

  /// The task has nothing to do.
  private func rest(_ call: LuaCall, _ me: TaskID) -> LuaOutcome {
    guard progress != .over, me == roles.owner || roles.idle.count < Roles.mostIdle else {
      left = .finished
      return .results(0)
    }
    call.count = ServedRequest.namespace
    left = .atRest
    roles.idle.append(me)
    return loop.sleep(until: .max)
  }

  private func startReader() {
    roles.reader = nil
    roles.isReaderAsleep = false
    while let task = roles.idle.popLast() {
      if loop.wake(task) { return }
    }
    loop.startEvents(SessionTask(self, isOwner: false))
  }

  /// Registers the session as an observer.
  func beginObserving() -> Int32 {
    if roles.observer == 0 { roles.observer = loop.addObserver(self) }
    return roles.observer
  }

  func endObserving() {
    guard roles.observer != 0 else { return }
    // The number may be another one's soon.
    if let reader = roles.reader { loop.forgetWaitObserver(of: reader) }
    loop.removeObserver(roles.observer)
    roles.observer = 0
  }

  // MARK: Calls

  /// A call that waits is to be answered before what is answered next.
  @inline(__always)
  var isHeld: Bool { roles.isShared && !held.isEmpty }

  /// So many calls run, or so much is answered behind them, that no more are begun.
  var isFull: Bool {
    roles.suspended.count >= configuration.callsAtOnce || held.bytes > mostHeld
  }

  /// The call is over, and its answer is there.
  private func ended(_ task: TaskID, _ part: HeldAnswers.Part) {
    roles.suspended[task] = nil
    held.close(part)
    if part.serving > 0 {
      roles.serving -= part.serving
      connection.serving -= part.serving
      connection.tellHolding()
    }
    guard progress != .over else {
      if roles.suspended.isEmpty { endWithCalls() }
      return
    }
    if !held.moveWhole(to: &connection.output) { endForMemory() }
    connection.held = held.bytes
    if held.bytes > 0 { connection.tellHolding() }
    if !connection.output.isEmpty { flushSoon() }
    if roles.isReaderAsleep {
      wakeReader()
    } else if configuration.idleTimeout != .infinity, roles.suspended.isEmpty {
      // The time without a call begins.
      wakeReader()
    }
  }

  /// The answer cannot be written: it is the last one.
  private func breakOff(_ part: HeldAnswers.Part) {
    let reason = "its answer could not be serialized"
    configuration.log.disconnected(peer, reason)
    part.output.collect(error: "tango server error: \(reason)", configuration.codec.writes)
    held.drop(behind: part)
    progress = .ending
    wakeReader()
  }

  private func endForMemory() {
    configuration.log.disconnected(peer, "not enough memory for its answers")
    held.dropAll()
    progress = .ending
    wakeReader()
  }

  /// Collects answers of the reader behind those of calls that wait.
  func collectBehind<Result>(_ body: (inout MessageOutput) -> Result) -> Result {
    let result = held.collect(
      {
        MessageOutput(limits: configuration.limits, isFramed: true, spare: stream.spare)
      }, body)
    connection.held = held.bytes
    return result
  }

  /// What several calls have answered in one round leaves together.
  private func flushSoon() {
    guard !roles.isFlushDue else { return }
    roles.isFlushDue = true
    loop.observeRoundEnd(by: self)
  }

  /// The reader looks around again, whatever it waits for.
  func wakeReader() {
    guard roles.isReaderAsleep, let reader = roles.reader else {
      if stream.isOpen { loop.notify(stream.descriptor) }
      return
    }
    roles.isReaderAsleep = false
    // With TLS it may wait for the client's goodbye instead.
    if !loop.wake(reader), stream.isOpen { loop.notify(stream.descriptor) }
  }

  /// The reader waits for the end of a call.
  func sleep(_ call: LuaCall) -> LuaOutcome {
    if connection.isHolding || !connection.isDrained || !connection.output.isEmpty {
      connection.tellHolding()
      guard connection.isOpen || connection.keepsReceived else { return finish(call) }
    }
    left = .atRest
    roles.isReaderAsleep = true
    return loop.sleep(until: .max)
  }

  // MARK: The end

  /// The connection is over: what becomes of its tasks.
  func leaveCalls() {
    held.dropAll()
    connection.held = 0
    if configuration.onDisconnect == .cancel { cancelCalls() }
    for task in roles.idle { loop.wake(task) }
    roles.idle = []
    if roles.isReaderAsleep { wakeReader() }
    if roles.suspended.isEmpty { endWithCalls() }
  }

  /// The connection is over, and so are its calls.
  private func endWithCalls() {
    responder.releaseReferences()
    endObserving()
  }

  /// The functions that wait are ended, in the next turns of their tasks.
  func cancelCalls() {
    for task in roles.suspended.keys where task != loop.currentTask {
      loop.removeInItsTurn(task)
    }
  }

  /// The first task has ended, and the dispatcher closes the socket.
  func ownerEnded() {
    if !ending.hasLeft, progress != .over { close() }
  }
}

extension TangoSession: ThreadObserver, RoundEndObserver {
  /// The function that the reader runs waits for something.
  func waits(_ task: TaskID) {
    guard progress != .over else { return }
    if roles.owner == nil {
      roles.owner = task
      loop.main.pushRetained(socketReference)
      roles.socket = LuaStored(popping: loop.main)
    }
    let serving = connection.serving - roles.serving
    roles.serving += serving
    roles.suspended[task] = held.open(
      MessageOutput(limits: configuration.limits, isFramed: true, spare: stream.spare),
      serving: serving)
    loop.observeEnd(of: task, by: roles.observer)
    if ending.hasLeft, configuration.onDisconnect == .cancel { loop.removeInItsTurn(task) }
    startReader()
  }

  /// A task was ended by the program, or by ``cancelCalls()``.
  func ended(_ task: TaskID) {
    roles.idle.removeAll { $0 == task }
    if let part = roles.suspended[task] {
      part.output.collect(
        error: "tango server error: the call was ended", configuration.codec.writes)
      ended(task, part)
    }
    if task == roles.owner { ownerEnded() }
    if task == roles.reader, progress != .over { close() }
  }

  func roundEnded() {
    roles.isFlushDue = false
    guard connection.isOpen else { return }
    connection.roundEnded()
    // The reader waits until the rest can be sent, or finds out why it cannot.
    if !connection.output.isEmpty { wakeReader() }
  }
}

extension TangoSession.Roles {
  /// Tasks that are idle at once.
  static let mostIdle = 4
}

/// Bytes of answers behind a call that waits. Beyond them no more calls are begun.
private let mostHeld = 1 << 20
