import CMilongaLua
import CMilongaShims
import MilongaLua
import MilongaScheduler

/// The object of `copas.semaphore`: resources that threads take and give back. Threads for which
/// there are not enough wait in the order in which they came, also behind one that wants more than
/// they do.
final class CopasSemaphore: WaitQueueOwner {
  private let loop: CopasLoop
  private let most: Double
  private let timeout: Double
  private var count: Double
  /// Made when a thread has to wait.
  private var waitQueue: WaitQueueID?
  private var isDestroyed = false

  private init(_ loop: CopasLoop, most: Double, count: Double, timeout: Double) {
    self.loop = loop
    self.most = most
    self.count = count
    self.timeout = timeout
  }

  /// Pushes the module.
  static func open(_ call: LuaCall, _ loop: CopasLoop) {
    let semaphores = TableClass<CopasSemaphore>(call, name: "copas semaphore", key: key) {
      $0.discard()
    }
    semaphores.pushMethods(onto: call)
    call.setFunction("new") { (call) throws(LuaFailure) in
      let timeout = try call.defaultTimeout(at: 3, place: "2nd")
      guard call.type(at: 1) == .number, let most = call.numberIfNumber(at: 1), most >= 1 else {
        call.count = max(1, call.count)
        call.push("expected max resources (1st argument) to be a number greater than 0, got: ")
        guard milonga_tostring(call.state, 1) == LUA_OK else { throw .raised }
        call.concatenate(2)
        throw call.failureWithPosition()
      }
      let count = call.boolean(at: 2) ? try call.number(at: 2) : 0
      semaphores.push(
        CopasSemaphore(loop, most: most, count: count, timeout: timeout), onto: call)
      return .results(1)
    }
    call.setFunction("take") { (call) throws(LuaFailure) in
      try semaphores.check(call, at: 1).take(call)
    }
    call.setFunction("give") { (call) throws(LuaFailure) in
      try semaphores.check(call, at: 1).give(call)
    }
    call.setFunction("get_count") { (call) throws(LuaFailure) in
      try semaphores.check(call, at: 1).getCount(call)
    }
    call.setFunction("get_wait") { (call) throws(LuaFailure) in
      try semaphores.check(call, at: 1).getWait(call)
    }
    call.setFunction("destroy") { (call) throws(LuaFailure) in
      try semaphores.check(call, at: 1).destroy(call)
    }
  }

  private static let key = LuaRegistryKey()

  // MARK: Methods

  /// Where the stack of a waiting `take` says how many it wants: others look there.
  private static let amountSlot: Int32 = 2

  private func take(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if !call.beginsAnew {
      try loop.requireStillInside(call, "semaphore.take")
      if loop.hasTimedOut { return call.refuse("timeout") }
      return isDestroyed ? call.refuse("destroyed") : succeed(call)
    }
    if isDestroyed { return call.refuse("destroyed") }
    let amount = call.boolean(at: 2) ? try call.number(at: 2) : 1
    if count >= amount, first == nil {
      if let outcome = loop.giveWay(call, timeoutAt: 3) { return outcome }
      count -= amount
      return succeed(call)
    }
    if amount > most { return call.refuse("too many") }
    guard let deadline = try loop.deadline(call, timeoutAt: 3, default: timeout) else {
      return call.refuse("timeout")
    }
    try loop.requireInside(call, "semaphore.take")
    if waitQueue == nil { waitQueue = loop.makeWaitQueue(for: self) }
    call.count = Int(Self.amountSlot) - 1
    call.push(amount)
    return loop.wait(in: waitQueue!, until: deadline)
  }

  private func give(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if isDestroyed { return call.refuse("destroyed") }
    count += call.boolean(at: 2) ? try call.number(at: 2) : 1
    let areTooMany = count > most
    count = min(count, most)
    admit()
    return areTooMany ? call.refuse("too many") : succeed(call)
  }

  private func getCount(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if isDestroyed { return call.refuse("destroyed") }
    return push(count, call)
  }

  private func getWait(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if isDestroyed { return call.refuse("destroyed") }
    var wanted = 0.0
    var waiting = first
    while let task = waiting {
      wanted += amount(of: task)
      waiting = loop.scheduler.next(after: task)
    }
    return push(first == nil ? 0 : wanted - count, call)
  }

  private func destroy(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if isDestroyed { return call.refuse("destroyed") }
    isDestroyed = true
    if let waitQueue { loop.admitAll(of: waitQueue) }
    return succeed(call)
  }

  private func succeed(_ call: LuaCall) -> LuaOutcome {
    call.push(true)
    return .results(1)
  }

  /// A number of resources is an integer where it can be.
  private func push(_ number: Double, _ call: LuaCall) -> LuaOutcome {
    if let whole = Int(exactly: number) { call.push(whole) } else { call.push(number) }
    return .results(1)
  }

  // MARK: The threads that wait

  private var first: TaskID? { waitQueue.flatMap { loop.scheduler.first(in: $0) } }

  /// What a thread that waits here, or was just admitted, wants.
  private func amount(of task: TaskID) -> Double {
    lua_tonumberx(loop.tasks[task].coroutine, Self.amountSlot, nil)
  }

  /// Serves the threads that wait, as far as the resources go.
  private func admit() {
    guard let waitQueue else { return }
    while let task = loop.scheduler.first(in: waitQueue) {
      let amount = amount(of: task)
      guard count >= amount else { return }
      count -= amount
      loop.scheduler.admitFirst(of: waitQueue)
    }
  }

  /// There may be enough for the threads behind it.
  func left(_ waitQueue: WaitQueueID) {
    if !isDestroyed { admit() }
  }

  func wasAdmittedInVain(_ task: TaskID, to waitQueue: WaitQueueID) {
    guard !isDestroyed else { return }
    count = min(most, count + amount(of: task))
    admit()
  }

  private func discard() {
    if let waitQueue { loop.removeWaitQueue(waitQueue) }
  }
}
