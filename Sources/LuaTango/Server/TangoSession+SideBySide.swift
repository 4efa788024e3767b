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
    /// What waits until a request is read, or an answer written.
    var due: [Due] = []

    /// There are tasks besides the reader, or have been.
    @inline(__always)
    var isShared: Bool { owner != nil }
  }

  /// What may happen while Lua code runs in the middle of a request: a finalizer or a metamethod
  /// can end other tasks of the session.
  enum Due {
    case taskEnd(TaskID)
    case answer(TaskID)
    case ownerEnd
    case connectionEnd
    case detach
  }

  /// Whether that has to wait; ``settle()`` does it then.
  func postpone(_ due: Due) -> Bool {
    guard connection.isBusy else { return false }
    roles.due.append(due)
    connection.isEndDue = true
    return true
  }

  /// Does what had to wait.
  @inline(never)
  func settle() {
    connection.isEndDue = false
    let all = roles.due
    roles.due = []
    for due in all {
      switch due {
      case .taskEnd(let task): ended(task)
      case .answer(let task):
        if let part = roles.suspended[task] { ended(task, part) }
      case .ownerEnd: ownerEnded()
      case .connectionEnd: connection.end()
      case .detach: detach()
      }
    }
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
    // The program may have woken it.
    roles.idle.removeAll { $0 == me }
    if let part = roles.suspended[me] {
      if let outcome = responder.ended(call, &part.output) { return outcome }
      if responder.takeBroken() { breakOff(part) }
      if !postpone(.answer(me)) { ended(me, part) }
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
    if !held.moveWhole(to: &connection.output) { endWithoutMemory() }
    connection.held = held.bytes
    if held.bytes > 0 { connection.tellHolding() }
    if !connection.output.isEmpty { flushSoon() }
    let beginsIdling =
      configuration.idleTimeout != .infinity && roles.suspended.isEmpty && progress == .serving
    if roles.isReaderAsleep || beginsIdling { wakeReader() }
  }

  /// The answer cannot be written: it is the last one.
  private func breakOff(_ part: HeldAnswers.Part) {
    let reason = Self.brokenAnswer
    part.output.collect(error: "tango server error: \(reason)", configuration.codec.writes)
    guard progress != .over, held.drop(behind: part) else { return }
    connection.held = held.bytes
    configuration.log.disconnected(peer, reason)
    progress = .ending
    wakeReader()
  }

  private func endWithoutMemory() {
    configuration.log.disconnected(peer, "not enough memory for its answers")
    dropHeld()
    if progress == .serving { progress = .ending }
    wakeReader()
  }

  /// No answer behind those that are sent already will leave.
  func dropHeld() {
    held.dropAll()
    connection.held = 0
  }

  /// Collects answers of the reader behind those of calls that wait.
  func collectBehind<Result>(_ body: (inout MessageOutput) -> Result) -> Result {
    let result = held.collect(makeOutput, body)
    connection.held = held.bytes
    return result
  }

  /// For answers that have to wait.
  private func makeOutput() -> MessageOutput {
    MessageOutput(limits: configuration.limits, isFramed: true, spare: stream.spare)
  }

  /// What several calls have answered in one round leaves together.
  private func flushSoon() {
    // A program that makes its steps itself may take its time until the next one.
    guard loop.isLooping else {
      loop.turnEndObserver = self
      return
    }
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

  // MARK: The end

  /// The connection is over: what becomes of its tasks.
  func leaveCalls() {
    dropHeld()
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

  /// The first task has ended, and with it the connection.
  func ownerEnded() {
    guard !postpone(.ownerEnd) else { return }
    if !ending.hasLeft { close() }
  }

  /// The connection was closed to save memory.
  func connectionEnded() {
    if roles.isShared { close() }
  }
}

extension TangoSession: ThreadObserver, TurnEndObserver, RoundEndObserver {
  /// The function that the reader runs waits for something.
  func waits(_ task: TaskID) {
    guard progress != .over else { return }
    if roles.owner == nil {
      roles.owner = task
      loop.main.pushRetained(socketReference)
      roles.socket = LuaStored(popping: loop.main)
      // The session closes it, when none of its requests is being read.
      loop.keepConnection(of: task)
    }
    let serving = connection.serving - roles.serving
    roles.serving += serving
    // The answer to a client that has left goes nowhere.
    roles.suspended[task] =
      ending.hasLeft
      ? HeldAnswers.Part(makeOutput(), isWhole: false, serving: serving)
      : held.open(makeOutput(), serving: serving)
    loop.observeEnd(of: task, by: roles.observer)
    if ending.hasLeft, configuration.onDisconnect == .cancel { loop.removeInItsTurn(task) }
    startReader()
  }

  /// A task was ended by the program, or by ``cancelCalls()``.
  func ended(_ task: TaskID) {
    guard !postpone(.taskEnd(task)) else { return }
    roles.idle.removeAll { $0 == task }
    if let part = roles.suspended[task] {
      part.output.collect(
        error: "tango server error: the call was ended", configuration.codec.writes)
      ended(task, part)
    }
    if task == roles.owner {
      ownerEnded()
    } else if task == roles.reader, progress != .over {
      // A function has removed its own thread; the others go on.
      if let owner = roles.owner, loop.exists(owner) { startReader() } else { close() }
    }
  }

  func turnEnded() { roundEnded() }

  func roundEnded() {
    roles.isFlushDue = false
    guard connection.isOpen else { return }
    guard !connection.isBusy else { return flushSoon() }
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
