import CMilongaLua
import CMilongaShims
import MilongaIO
import MilongaLua
import MilongaScheduler

/// What threads wait for in a wait queue.
protocol WaitQueueOwner: AnyObject {
  /// A thread does not wait in the wait queue any more, without having been admitted.
  func left(_ waitQueue: WaitQueueID)
  /// A thread was admitted, but removed before it ran again.
  func wasAdmittedInVain(_ task: TaskID, to waitQueue: WaitQueueID)
}

extension CopasLoop: WaitQueueObserver {
  /// A new wait queue. It keeps its owner alive until it is given up with ``removeWaitQueue(_:)``.
  func makeWaitQueue(for owner: some WaitQueueOwner) -> WaitQueueID {
    let waitQueue = scheduler.makeWaitQueue()
    own(waitQueue, owner)
    return waitQueue
  }

  private func own(_ waitQueue: WaitQueueID, _ owner: any WaitQueueOwner) {
    let index = Int(waitQueue.index)
    while waitQueueOwners.count <= index { waitQueueOwners.append(nil) }
    waitQueueOwners[index] = owner
  }

  func removeWaitQueue(_ waitQueue: WaitQueueID) {
    waitQueueOwners[Int(waitQueue.index)] = nil
    scheduler.removeWaitQueue(waitQueue)
  }

  package func left(_ waitQueue: WaitQueueID) {
    waitQueueOwners[Int(waitQueue.index)]?.left(waitQueue)
  }

  package func wasAdmittedInVain(_ task: TaskID, to waitQueue: WaitQueueID) {
    waitQueueOwners[Int(waitQueue.index)]?.wasAdmittedInVain(task, to: waitQueue)
  }

  /// Lets every thread in the wait queue go on.
  func admitAll(of waitQueue: WaitQueueID) {
    while scheduler.admitFirst(of: waitQueue) != nil {}
  }

  /// Lets the running coroutine wait in a wait queue; the function is to return the outcome, and
  /// runs again when the coroutine is admitted or `deadline` has passed (see ``hasTimedOut``).
  /// Nothing else, not even `copas.wakeup`, ends the wait.
  func wait(in waitQueue: WaitQueueID, until deadline: Int64) -> LuaOutcome {
    if mayWait { scheduler.wait(current!, in: waitQueue, deadline: deadline) }
    return .yield(0, state: WaitStep.waiting.rawValue)
  }

  /// For a function that may wait in a wait queue, and need not: when the running coroutine has had
  /// its share, the outcome to return, and the function runs again from its beginning (see
  /// ``LuaCall/beginsAnew``). A function that was told not to wait, by a timeout of 0 at `index`,
  /// goes on at once.
  func giveWay(_ call: LuaCall, timeoutAt index: Int) -> LuaOutcome? {
    guard call.phase != .resumed, isInside(call), !mayGoOn else { return nil }
    if index > 0, call.numberIfNumber(at: index) == 0 { return nil }
    return giveUpTurn(WaitStep.givingWay.rawValue)
  }

  private var mayGoOn: Bool { scheduler.mayOperate() && !hasRunLong }

  /// For a function that runs again after a wait in a wait queue. A coroutine that was not resumed
  /// by the dispatcher leaves the wait queue.
  func requireStillInside(_ call: LuaCall, _ function: StaticString) throws(LuaFailure) {
    if !isInside(call), let task = task(of: call.state) { scheduler.cancel(task) }
    try requireInside(call, function)
  }

  /// The deadline for a timeout given as the argument at `index`, or for `fallback`; nil for 0,
  /// which is not to wait.
  func deadline(
    _ call: LuaCall, timeoutAt index: Int, default fallback: Double,
    now: @autoclosure () -> Int64 = MonotonicTime.now()
  ) throws(LuaFailure) -> Int64? {
    let seconds = call.boolean(at: index) ? try call.number(at: index) : fallback
    if seconds == 0 { return nil }
    guard seconds > 0 else {
      throw call.failure(
        "timeout value must be greater than or equal to 0, got: \(call.describe(at: index))")
    }
    // A wait for ever needs no clock.
    return MonotonicTime.deadline(after: seconds, from: seconds == .infinity ? 0 : now())
  }
}

/// Where a function that may wait in a wait queue goes on. The trampoline keeps the number.
private enum WaitStep: Int {
  /// It gives way to others before it has begun.
  case givingWay = -1
  case waiting = 1
}

extension LuaCall {
  /// The function runs from its beginning, for the first time or after it gave way.
  var beginsAnew: Bool {
    phase == .entered || phase == .resumed && step == WaitStep.givingWay.rawValue
  }

  /// The results of an operation that failed.
  func refuse(_ reason: StaticString) -> LuaOutcome {
    pushNil()
    push(reason)
    return .results(2)
  }

  /// `table[name]`, with metamethods, for a table of options.
  func pushOption(_ name: StaticString, of index: Int) throws(LuaFailure) {
    push(name)
    guard milonga_gettable(state, Int32(index)) == LUA_OK else { throw .raised }
  }

  /// The default timeout of an object, given as the argument at `index`.
  ///
  /// - Parameter place: how the message names the argument.
  func defaultTimeout(at index: Int, place: StaticString) throws(LuaFailure) -> Double {
    guard boolean(at: index) else { return 10 }
    if let seconds = numberIfNumber(at: index), seconds >= 0 { return seconds }
    push("expected timeout (\(place) argument) to be a number greater than or equal to 0, got: ")
    guard milonga_tostring(state, Int32(index)) == LUA_OK else { throw .raised }
    concatenate(2)
    throw failureWithPosition()
  }
}
