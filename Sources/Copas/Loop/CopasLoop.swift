import CMilongaLua
import CMilongaShims
import Glibc
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

/// The dispatcher of one Lua state: runs its coroutines when their descriptors are ready or their
/// time has come.
public final class CopasLoop {
  public let sockets: SocketLibrary
  /// That of `sockets`, whose properties are retained and released whenever they are used.
  let client: LuaClass<SocketObject>
  /// That of `sockets`.
  let pool: BufferPool
  @usableFromInline let scheduler = Scheduler()
  let readiness: ReadinessQueue
  /// Names being looked up.
  let lookups: OffThreadWork<Result<[SocketAddress], ResolverError>>
  private var runningAsyncCalls: AsyncCalls?
  /// The main thread's stack, on which `copas.loop` runs.
  public let main: LuaCall
  /// Where its limits are; nil when the state is another program's.
  private let vm: UnsafeMutablePointer<milonga_vm>?
  private let memory: UnsafeMutablePointer<milonga_memory>?
  /// The module's table in the registry: it holds settings (`autoclose`) and state (`running`).
  var moduleReference: Int32 = 0
  /// The function `copas.connect`, in the registry.
  var connectReference: Int32 = 0
  var defaultErrorHandler: Int32?
  /// What tells of collected coroutines: a weak table in the registry, 0 for none yet.
  var sentinelsReference: Int32 = 0
  private(set) var sentinels: LuaClass<CollectionSentinel>!
  /// The timeouts of sockets of other libraries: a weak table in the registry, 0 for none yet.
  var foreignTimeoutsReference: Int32 = 0
  let foreignTimeouts: LuaClass<SocketObject.CopasTimeouts>
  /// Why objects of LuaSec do not work any more: a weak table in the registry, 0 for none yet.
  var secureFailuresReference: Int32 = 0
  /// What `copas/tls.lua` returns, in the registry; 0 before it is loaded.
  var tlsReference: Int32 = 0
  /// Names that the program gave to sockets and threads: a weak table in the registry, 0 for none yet.
  var namesReference: Int32 = 0
  var serverNames = ServerNames()

  /// What the scheduler's tasks are, by their index.
  var tasks: [CopasTask] = []
  /// The tasks of coroutines that cannot know them by themselves: see ``task(of:)``.
  private var tasksByCoroutine: [OpaquePointer: TaskID] = [:]
  var servers: [Int32: TaskID] = [:]
  /// Connections without coroutines of their own.
  var events = Events()
  /// The timers set with `copas.timeout`, by their coroutines.
  var timeouts: [OpaquePointer: TaskID] = [:]
  var exit = ExitState()
  private var idleCollection = IdleCollection()
  private var rounds: UInt32 = 0
  /// The loop has taken over SIGINT and SIGTERM.
  var catchesSignals = false
  /// Seconds that a turn may last after one of them; 0 for ever.
  var exitTimeout = 0.0
  /// nil while nobody wants them.
  var statistics: StepStatistics?
  /// The metatables of wrapped sockets; made with the module.
  var wrapper: CopasWrapper!
  var datagramWrapper: CopasWrapper!
  /// Whether the process ran out of descriptors, and that was said.
  var isOutOfDescriptors = false
  /// Told when the other side of a connection hangs up, by descriptors (CopasLoop+Hangups).
  var hangupObservers: [Int32: UnownedHangupObserver] = [:]

  /// The coroutine whose turn it is.
  var current: TaskID?
  @usableFromInline var currentCoroutine: OpaquePointer?
  var currentReason = WakeReason.woken
  /// When its turn has lasted long enough, in ticks of `CTurns`.
  @usableFromInline var turnEnd: UInt64 = 0

  /// The next step follows at once: the dispatcher runs by `copas.loop`, and not by single steps.
  var isLooping = false
  /// Whether the dispatcher is at work: it is not entered again.
  public private(set) var isStepping = false

  /// Told once, when the turn of the running coroutine ends.
  public var turnEndObserver: (any TurnEndObserver)?

  /// nil while nobody wants to know.
  var monitor: TurnMonitor?

  /// Told once, before the loop waits.
  private var roundObservers: [any RoundEndObserver] = []
  /// The memory of those that are being told.
  private var toldObservers: [any RoundEndObserver] = []

  /// By their numbers, from 1.
  private var observers: [(any ThreadObserver)?] = []
  private var freeObservers: [Int32] = []
  /// What threads wait for in the scheduler's wait queues, by the index of the wait queue.
  var waitQueueOwners: [(any WaitQueueOwner)?] = []
  /// The modules `copas.lock` and so on that were asked for, in the registry.
  var submoduleReferences: [String: Int32] = [:]

  private static let key = LuaRegistryKey()

  /// The dispatcher of the state; nil before anybody has asked for it.
  public static func existing(_ call: LuaCall) -> CopasLoop? {
    call.pushRegistry(key)
    defer { call.pop() }
    return LuaHolder<CopasLoop>.object(call, at: -1)
  }

  /// The dispatcher of the state; made when it is first asked for.
  ///
  /// - Throws: a Lua error when the process has no descriptors left.
  public static func of(_ call: LuaCall) throws(LuaFailure) -> CopasLoop {
    if let loop = existing(call) { return loop }
    let loop: CopasLoop
    do throws(Errno) {
      loop = try CopasLoop(call, kind: .chosen)
    } catch {
      throw call.failure("cannot make a readiness queue: \(error)")
    }
    LuaHolder.push(loop, onto: call)
    call.setRegistry(key)
    return loop
  }

  private init(_ call: LuaCall, kind: ReadinessQueue.Kind) throws(Errno) {
    sockets = SocketLibrary.of(call)
    client = sockets.tcp.client
    pool = sockets.pool
    foreignTimeouts = LuaClass(call, name: "copas timeouts")
    readiness = try ReadinessQueue(kind)
    lookups = OffThreadWork(waker: readiness.waker)
    // `call` may be a coroutine that will be gone.
    main = LuaCall(milonga_mainthread(call.state))
    vm = milonga_vm_of(main.state)
    memory = milonga_memory_of(main.state)
    sentinels = LuaClass(
      call, name: "copas sentinel", finalize: { [unowned self] in collected($0) })
    sockets.willClose = { [unowned self] descriptor in forget(descriptor) }
    scheduler.waitQueueObserver = self
  }

  deinit {
    if monitor?.watchdog != nil { milonga_set_watchdog(main.state, nil, nil) }
    scheduler.waitQueueObserver = nil
    sockets.willClose = nil
    lookups.close()
    runningAsyncCalls?.close()
  }

  // MARK: Running

  /// Nothing waits for a descriptor or a deadline, and nobody is ready. A timeout is nothing to wait
  /// for, unless there is somebody asleep whom its callback could wake.
  var isFinished: Bool {
    scheduler.readyCount == 0 && scheduler.waitingForDescriptor == 0
      && scheduler.sleeping == timeouts.count && roundObservers.isEmpty
      && (timeouts.isEmpty || asleepForEver == 0) && !hasWantedOffThreadWork
  }

  /// Other threads work for coroutines of ours that have not been removed meanwhile.
  private var hasWantedOffThreadWork: Bool {
    if !lookups.isEmpty { lookups.abandonUnwanted(exists: scheduler.exists) }
    return hasOffThreadWork
  }

  /// Other threads work for coroutines of ours.
  private var hasOffThreadWork: Bool { !lookups.isEmpty || runningAsyncCalls?.isEmpty == false }

  /// The async functions that coroutines have called.
  var asyncCalls: AsyncCalls {
    if let runningAsyncCalls { return runningAsyncCalls }
    let calls = AsyncCalls(self)
    runningAsyncCalls = calls
    return calls
  }

  private func deliverOffThreadWork() {
    let wake: (TaskID) -> Bool = { [scheduler] task in
      scheduler.wake(task)
      return scheduler.exists(task)
    }
    lookups.deliver(wake)
    runningAsyncCalls?.deliver(wake)
  }

  /// Threads that only `copas.wakeup` gets up.
  var asleepForEver: Int {
    scheduler.taskCount - scheduler.readyCount - scheduler.waitingForDescriptor
      - scheduler.sleeping - (current == nil ? 0 : 1)
  }

  /// Waits for something to happen, at most until `deadline`, and gives everybody whom it concerns a
  /// turn.
  ///
  /// - Returns: whether a descriptor became ready.
  func step(until deadline: Int64) throws(LuaFailure) -> Bool {
    isStepping = true
    defer { isStepping = false }
    if !roundObservers.isEmpty { endRound() }
    var handled = false
    var milliseconds: Int32 = 0
    if scheduler.readyCount == 0 {
      let wake = min(deadline, scheduler.nextDeadline ?? MonotonicTime.never)
      if wake == MonotonicTime.never {
        milliseconds = -1
      } else {
        milliseconds = MonotonicTime.milliseconds(until: wake, from: MonotonicTime.now())
      }
      if idleCollection.isDue, !(0...IdleCollection.delay ~= milliseconds) {
        milliseconds = IdleCollection.delay
      }
    }
    // Threads that only hand things to each other need no system call for every turn.
    if milliseconds != 0 || scheduler.waitingForDescriptor > 0 || hasOffThreadWork {
      handled = try look(milliseconds: milliseconds)
    }
    let begin = statistics == nil ? 0 : MonotonicTime.now()
    defer { if begin != 0 { statistics?.add(MonotonicTime.now() - begin) } }
    try raiseInterruption()
    if hasOffThreadWork { deliverOffThreadWork() }
    if scheduler.nextDeadline != nil { scheduler.expire(MonotonicTime.now()) }
    if scheduler.readyCount > 0 {
      idleCollection.isDue = true
      scheduler.runTurns(run)
      rounds &+= 1
      if rounds & 63 == 0 {
        idleCollection.turnsEnded(memory, pool) { milonga_collect(main.state) }
      }
    } else if !handled {
      idleCollection.run(memory) { milonga_collect(main.state) }
    }
    return handled
  }

  /// Tells the observer once everybody who is ready now has had a turn.
  public func observeRoundEnd(by observer: some RoundEndObserver) {
    roundObservers.append(observer)
  }

  private func endRound() {
    swap(&roundObservers, &toldObservers)
    for observer in toldObservers { observer.roundEnded() }
    toldObservers.removeAll(keepingCapacity: true)
  }

  /// Waits for descriptors; whether one became ready.
  private func look(milliseconds: Int32) throws(LuaFailure) -> Bool {
    var handled = false
    do throws(Errno) {
      try readiness.wait(milliseconds: milliseconds) { event in
        handled = true
        let readiness = event.readiness
        scheduler.notify(
          descriptor: Int32(truncatingIfNeeded: event.tag),
          generation: UInt32(truncatingIfNeeded: event.tag >> 32),
          readable: readiness.contains(.readable), writable: readiness.contains(.writable),
          hangup: readiness.contains(.hangup))
        if readiness.contains(.hangup) { tellHangup(event.tag) }
      }
    } catch {
      throw main.failure("waiting for descriptors failed: \(error)")
    }
    return handled
  }

  /// Ctrl-C while nothing runs: no Lua code would notice.
  private func raiseInterruption() throws(LuaFailure) {
    guard let vm, vm.pointee.interrupted != 0 else { return }
    vm.pointee.interrupted = 0
    lua_sethook(main.state, nil, 0, 0)
    throw main.failure("interrupted!")
  }

  private func run(_ turn: Turn) {
    // With hundreds of connections the next coroutine is not in the processor's cache; it is on its way
    // while this one runs.
    let next = Int(scheduler.nextReadyIndex)
    if next >= 0, let coroutine = tasks[next].coroutine { milonga_prefetch_state(coroutine) }
    noteTurn()
    switch tasks[Int(turn.task.index)].kind {
    case .server: accept(turn.task)
    case .coroutine: resume(turn.task, turn.reason)
    case .events: runEvents(turn.task, turn.reason)
    case .timeout: fireTimeout(turn.task)
    case .none: scheduler.finish(turn.task)
    }
  }

  /// Runs a coroutine until it waits for something, ends, or fails.
  ///
  /// - Returns: whose turn it was last: others may have had theirs in the same coroutine (CopasLoop+Events).
  @discardableResult
  func resume(_ task: TaskID, _ reason: WakeReason) -> TaskID {
    let index = Int(task.index)
    let coroutine = tasks[index].coroutine!
    if reason == .cancelled {
      end(task)
      return task
    }
    let isStarted = lua_status(coroutine) == LUA_YIELD
    let arguments = isStarted ? 0 : tasks[index].arguments
    guard isStarted || canStart(coroutine, arguments) else {
      if exchangeWorker(of: task) { return resume(task, reason) }
      // The program has resumed or closed it.
      main.push("cannot resume dead coroutine")
      reportError(of: tasks[index])
      end(task)
      return task
    }
    if arguments != 0 { tasks[index].arguments = 0 }
    let outer = (current, currentCoroutine)
    // A coroutine that is started in the turn of another one has a turn of its own.
    let outerObserver = turnEndObserver
    turnEndObserver = nil
    current = task
    currentCoroutine = coroutine
    currentReason = reason
    if let monitor { monitor.turnBegins(self, task, reason) }
    var results: Int32 = 0
    let status = milonga_resume(coroutine, main.state, memory, arguments, &results)
    if let monitor { monitor.turnEnded(self, task, status: status) }
    let last = current!
    let lastIndex = Int(last.index)
    (current, currentCoroutine) = outer
    if let observer = turnEndObserver {
      turnEndObserver = nil
      observer.turnEnded()
    }
    turnEndObserver = outerObserver
    if status == LUA_YIELD {
      if !scheduler.isRunning(last) {
        if results > 0 { lua_settop(coroutine, -results - 1) }
        if tasks[lastIndex].isRemoved { end(last) }
        return last
      }
      main.push(
        "coroutine.yield was called without a resume first, user-code cannot yield to Copas")
      reportError(of: tasks[lastIndex])
    } else if status != LUA_OK {
      reportError(of: tasks[lastIndex], from: coroutine)
    }
    end(last)
    return last
  }

  /// Whether the coroutine is as it was made: its function and the arguments are on its stack.
  private func canStart(_ coroutine: OpaquePointer, _ arguments: Int32) -> Bool {
    var frame = lua_Debug()
    return lua_status(coroutine) == LUA_OK && lua_getstack(coroutine, 0, &frame) == 0
      && lua_gettop(coroutine) == arguments + 1
  }

  // MARK: Coroutines

  /// The task of a coroutine, nil when it is none of ours. In a state of our own every coroutine has it
  /// in the space that Lua leaves in front of it; the coroutines of others may use that for something
  /// else.
  func task(of coroutine: OpaquePointer) -> TaskID? {
    guard vm != nil else { return tasksByCoroutine[coroutine] }
    let bits = milonga_extraspace(coroutine).pointee
    return bits == 0 ? nil : TaskID(bits: ~bits)
  }

  /// Remembers the task of a coroutine that is alive, or forgets it.
  func setTask(_ task: TaskID?, of coroutine: OpaquePointer) {
    if vm == nil {
      tasksByCoroutine[coroutine] = task
    } else {
      milonga_extraspace(coroutine).pointee = task.map { ~$0.bits } ?? 0
    }
  }

  /// The coroutine is gone, and another one may have its address.
  func forget(_ coroutine: OpaquePointer?, of task: TaskID) {
    if let coroutine, tasksByCoroutine[coroutine] == task { tasksByCoroutine[coroutine] = nil }
  }

  // MARK: Observed coroutines

  /// Gives an observer a number other than 0, for ``observeRemoval(by:)``. It is kept alive until
  /// ``removeObserver(_:)``.
  public func addObserver(_ observer: some ThreadObserver) -> Int32 {
    if let number = freeObservers.popLast() {
      observers[Int(number) - 1] = observer
      return number
    }
    observers.append(observer)
    return Int32(observers.count)
  }

  public func removeObserver(_ number: Int32) {
    observers[Int(number) - 1] = nil
    freeObservers.append(number)
  }

  /// From now on the observer is told when the running coroutine is removed while it waits; 0 is nobody.
  /// A number that was given up does no harm.
  @inline(__always)
  public func observeRemoval(by number: Int32) {
    if let current { tasks[Int(current.index)].removalObserver = number }
  }

  func tell(_ number: Int32, endOf task: TaskID) {
    if number != 0 { observers[Int(number) - 1]?.ended(task) }
  }

  // MARK: Descriptors

  /// Registers a descriptor that is going to be waited for.
  public func watch(_ socket: UnsafeMutablePointer<SocketObject>) throws(Errno) {
    guard !socket.pointee.isWatched else { return }
    try register(socket.pointee.descriptor)
    socket.pointee.isWatched = true
  }

  /// Begins a new life of a descriptor. The number may be registered already: with `setfd` two objects
  /// can have the same, and nobody tells us when another library closes one.
  public func register(_ descriptor: Int32) throws(Errno) {
    guard fcntl(descriptor, F_GETFD) >= 0 else { throw Errno(rawValue: errno) }
    if scheduler.isWatched(descriptor) { readiness.remove(descriptor) }
    let generation = scheduler.watch(descriptor)
    do throws(Errno) {
      try readiness.add(descriptor, tag: UInt64(generation) << 32 | UInt64(UInt32(descriptor)))
    } catch {
      scheduler.unwatch(descriptor)
      throw error
    }
  }

  /// A descriptor is going to be closed: whoever waits for it gets a turn, and will find out.
  public func forget(_ descriptor: Int32) {
    if !hangupObservers.isEmpty { hangupObservers[descriptor] = nil }
    if !servers.isEmpty { forgetDatagramServer(descriptor) }
    readiness.remove(descriptor)
    scheduler.unwatch(descriptor)
  }
}

/// Somebody with something to do when a coroutine has had its turn, such as to send what it left
/// behind.
public protocol TurnEndObserver: AnyObject {
  func turnEnded()
}

/// Somebody with something to do when all who were ready have had their turns, such as to send what they
/// left behind in one go.
public protocol RoundEndObserver: AnyObject {
  func roundEnded()
}

/// Somebody who has something to do when a coroutine has ended.
public protocol ThreadObserver: AnyObject {
  func ended(_ task: TaskID)
}
