import CMilongaLua
import MilongaIO
import MilongaLua
import MilongaScheduler

/// The object of `copas.lock`: one thread has it, others wait in the order in which they came.
final class CopasLock: WaitQueueOwner {
  private enum Owner: Equatable {
    case nobody
    case thread(TaskID)
    /// A coroutine that Copas does not run, or the main program.
    case stranger(OpaquePointer)
  }

  private let loop: CopasLoop
  private let timeout: Double
  private let isReentrant: Bool
  /// Made when a thread has to wait.
  private var waitQueue: WaitQueueID?
  private var owner = Owner.nobody
  /// How many times the owner has to release it.
  private var depth = 0
  private var isDestroyed = false
  /// The stranger, so that no other coroutine takes its address; empty for none.
  private var stranger = LuaStored()

  private init(_ loop: CopasLoop, timeout: Double, isReentrant: Bool) {
    self.loop = loop
    self.timeout = timeout
    self.isReentrant = isReentrant
  }

  /// Pushes the module.
  static func open(_ call: LuaCall, _ loop: CopasLoop) {
    let locks = TableClass<CopasLock>(call, name: "copas lock", key: key) { $0.discard() }
    locks.pushMethods(onto: call)
    call.setFunction("new") { (call) throws(LuaFailure) in
      let timeout = try call.defaultTimeout(at: 1, place: "1st")
      let lock = CopasLock(loop, timeout: timeout, isReentrant: !call.boolean(at: 2))
      locks.push(lock, onto: call)
      return .results(1)
    }
    call.setFunction("get") { (call) throws(LuaFailure) in
      try locks.check(call, at: 1).get(call)
    }
    call.setFunction("release") { (call) throws(LuaFailure) in
      try locks.check(call, at: 1).release(call)
    }
    call.setFunction("destroy") { (call) throws(LuaFailure) in
      try locks.check(call, at: 1).destroy(call)
    }
  }

  private static let key = LuaRegistryKey()

  // MARK: Methods

  /// Where a waiting `get` keeps when it began.
  private static let startSlot = 2

  private func get(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if !call.beginsAnew { return try goOn(call) }
    if isDestroyed { return call.refuse("destroyed") }
    if owner == .nobody {
      if let outcome = loop.giveWay(call, timeoutAt: 2) { return outcome }
      take(call)
      call.push(0)
      return .results(1)
    }
    if isReentrant, owner == running(call) {
      depth += 1
      call.push(0)
      return .results(1)
    }
    let now = MonotonicTime.now()
    guard let deadline = try loop.deadline(call, timeoutAt: 2, default: timeout, now: now) else {
      _ = call.refuse("timeout")
      call.push(0)
      return .results(3)
    }
    try loop.requireInside(call, "lock.get")
    if waitQueue == nil { waitQueue = loop.makeWaitQueue(for: self) }
    call.count = Self.startSlot - 1
    call.push(Int(now))
    return loop.wait(in: waitQueue!, until: deadline)
  }

  /// The wait is over: the lock was handed to this thread, or it has to do without.
  private func goOn(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    try loop.requireStillInside(call, "lock.get")
    let seconds = Double(MonotonicTime.now() &- Int64(try call.integer(at: Self.startSlot))) / 1e9
    var results = 1
    if loop.hasTimedOut {
      _ = call.refuse("timeout")
      results = 3
    } else if isDestroyed {
      _ = call.refuse("destroyed")
      results = 3
    }
    call.push(seconds)
    return .results(results)
  }

  private func release(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if isDestroyed { return call.refuse("destroyed") }
    guard owner == running(call) else { return call.refuse("cannot release a lock not owned") }
    depth -= 1
    if depth == 0 { handOver() }
    call.push(true)
    return .results(1)
  }

  private func destroy(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if isDestroyed { return call.refuse("destroyed") }
    isDestroyed = true
    if let waitQueue { loop.admitAll(of: waitQueue) }
    stranger = LuaStored()
    call.push(true)
    return .results(1)
  }

  // MARK: Owners

  private func running(_ call: LuaCall) -> Owner {
    loop.isInside(call) ? .thread(loop.current!) : .stranger(call.state)
  }

  private func take(_ call: LuaCall) {
    owner = running(call)
    depth = 1
    if case .stranger = owner {
      lua_pushthread(call.state)
      stranger = LuaStored(popping: call)
    }
  }

  /// The lock is for the thread that has waited longest.
  private func handOver() {
    stranger = LuaStored()
    owner = .nobody
    if let waitQueue, let next = loop.scheduler.admitFirst(of: waitQueue) {
      owner = .thread(next)
      depth = 1
    }
  }

  func left(_ waitQueue: WaitQueueID) {}

  func wasAdmittedInVain(_ task: TaskID, to waitQueue: WaitQueueID) {
    if !isDestroyed, owner == .thread(task) { handOver() }
  }

  private func discard() {
    stranger = LuaStored()
    if let waitQueue { loop.removeWaitQueue(waitQueue) }
  }
}
