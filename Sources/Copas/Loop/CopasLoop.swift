import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

/// The dispatcher of one Lua state: runs its coroutines when their descriptors are ready or their
/// time has come.
///
/// It has the tasks and the running turn; what else there is belongs to its parts.
public final class CopasLoop {
  package let sockets: SocketLibrary
  /// The class of connected TCP objects. A copy of the reference in `sockets`, because to go
  /// through `sockets` would retain and release it each time.
  let client: LuaClass<SocketObject>
  /// The receive buffers; a copy of the reference in `sockets`, for the same reason.
  let pool: BufferPool
  @usableFromInline let scheduler = Scheduler()
  let readiness: ReadinessQueue
  /// The main thread's stack, on which `copas.loop` runs.
  public let main: LuaCall
  /// Where its limits are; nil when the state is another program's.
  let vm: UnsafeMutablePointer<milonga_vm>?
  let memory: UnsafeMutablePointer<milonga_memory>?

  // MARK: Tasks

  /// What the scheduler's tasks are.
  var tasks = TaskRecords()
  /// The tasks of coroutines that cannot know them by themselves: see ``task(of:)``.
  var tasksByCoroutine: [OpaquePointer: TaskID] = [:]
  /// Connections without coroutines of their own.
  var events = Events()

  // MARK: The running turn

  @usableFromInline var turn = RunningTurn()
  /// Told once, when the turn of the running coroutine ends.
  package var turnEndObserver: (any TurnEndObserver)?

  /// The task whose turn it is; nil outside the dispatcher.
  @inline(__always)
  var current: TaskID? { turn.task }

  // MARK: The loop

  /// The next step follows at once: the dispatcher runs by `copas.loop`, and not by single steps.
  package internal(set) var isLooping = false
  /// Whether the dispatcher is at work: it is not entered again.
  public internal(set) var isStepping = false
  var exit = ExitState()
  var idleCollection = IdleCollection()
  /// nil unless the program has asked for them.
  var statistics: StepStatistics?
  /// nil unless the program has asked for it.
  var monitor: TurnMonitor?

  // MARK: Parts

  let module = CopasModuleValues()
  let offThread: OffThread
  let pendingOffThread: OffThreadCount
  var roundEndObservers = RoundEndObservers()
  var threadObservers = ThreadObservers()
  var hangupObservers = HangupObservers()
  /// What threads wait for in the scheduler's wait queues, by the index of the wait queue.
  var waitQueueOwners: [(any WaitQueueOwner)?] = []
  var timeouts = CallbackTimeouts()
  let termination: TerminationSignals
  let sentinels: CollectionSentinels
  let servers: CopasServers
  let names: CopasNames
  let foreignSockets: ForeignSockets
  let waitedSockets = WaitedSockets()

  private static let key = LuaRegistryKey()
  private static let endKey = LuaRegistryKey()

  /// The dispatcher of the state; nil before it was first asked for.
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
    LuaHolder.push(StateEnd(loop), onto: call)
    call.setRegistry(endKey)
    return loop
  }

  private init(_ call: LuaCall, kind: ReadinessQueue.Kind) throws(Errno) {
    sockets = SocketLibrary.of(call)
    client = sockets.tcp.client
    pool = sockets.pool
    readiness = try ReadinessQueue(kind)
    // `call` may be a coroutine that will be gone.
    main = LuaCall(milonga_mainthread(call.state))
    vm = milonga_vm_of(main.state)
    memory = milonga_memory_of(main.state)
    offThread = OffThread(readiness.waker)
    pendingOffThread = offThread.pending
    termination = TerminationSignals()
    sentinels = CollectionSentinels()
    servers = CopasServers()
    names = CopasNames()
    foreignSockets = ForeignSockets(call, sockets)
    termination.loop = self
    servers.loop = self
    names.loop = self
    sentinels.open(call, self)
    sockets.willGiveUpDescriptor = { [unowned self] socket in
      guard socket.isWatched else { return }
      socket.isWatched = false
      forget(socket.descriptor)
    }
    scheduler.waitQueueObserver = self
  }

  deinit {
    if monitor?.watchdog != nil { milonga_set_watchdog(main.state, nil, nil) }
    scheduler.waitQueueObserver = nil
    sockets.willGiveUpDescriptor = nil
    offThread.close()
  }
}

/// Goes when the state closes: the objects that serve connections, and that hold the dispatcher,
/// go with it.
private final class StateEnd {
  private let loop: CopasLoop

  init(_ loop: CopasLoop) { self.loop = loop }

  deinit {
    loop.tasks.forgetEvents()
    let handlers = loop.events.handlers
    loop.events.handlers = Array(repeating: nil, count: handlers.count)
    loop.events.factories = [:]
    let observers = loop.threadObservers.takeAll()
    withExtendedLifetime((handlers, observers)) {}
  }
}

/// The turn that the dispatcher has given to a task.
@usableFromInline
struct RunningTurn {
  /// The task whose turn it is; nil outside the dispatcher.
  var task: TaskID?
  /// Its coroutine.
  @usableFromInline var coroutine: OpaquePointer?
  /// Why it runs.
  var reason = WakeReason.woken
  /// When the turn has lasted long enough, in ticks of `CMilongaTurns`.
  @usableFromInline var end: UInt64 = 0
}

/// Lua values that belong to the module `copas`.
final class CopasModuleValues {
  /// The module's table: it holds settings (`autoclose`) and state (`running`).
  var table = LuaStored()
  /// Empty unless the program has set one.
  var errorHandler = LuaStored()
  /// The modules `copas.lock` and so on that were asked for: a table, by their names.
  var submodules = LuaStored()
  /// What `copas/tls.lua` returns; empty before it is loaded.
  var tls = LuaStored()
  /// What `copas/debug.lua` returns; empty before it is loaded.
  var socketDebugging = LuaStored()
  /// How stream sockets and how others are wrapped; made with the module.
  var wrapper: CopasWrapper!
  var datagramWrapper: CopasWrapper!
}
