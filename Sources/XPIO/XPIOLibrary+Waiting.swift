import CMilongaLua
import CMilongaShims
import Copas
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

extension XPIOLibrary {
  /// The task at `index` of the stack waits in its queue until the descriptor is ready.
  func schedule(
    _ call: LuaCall, task index: Int, _ handle: UnsafeMutablePointer<Handle>,
    _ direction: Direction
  ) throws(LuaFailure) {
    try call.check(index, is: .table)
    let top = call.count
    call.pushField("_dequeue", of: index)
    if !call.isNoneOrNil(at: -1) { throw call.failure("xpio: task scheduled twice") }
    try pushQueueField(call, task: index)
    guard let queue = queues.payload(call, at: -1)?.pointee else {
      let found = call.typeName(at: -1)
      throw call.argumentFailure(
        index, "the task's field '_queue' is to be a task queue (see xpio.tqueue), got \(found)")
    }
    let number: Int
    do throws(Errno) {
      number = try queue.add(&handle.pointee, direction)
    } catch {
      throw call.failure("xpio: cannot wait for descriptor \(handle.pointee.descriptor): \(error)")
    }
    call.pushUserValue(1, of: -1)
    call.pushValue(at: index)
    call.setElement(Int(UInt32(truncatingIfNeeded: number)) + 1, of: -2)
    call.pushUserValue(2, of: -2)
    call.setField("_dequeue", of: index)
    call.push(number)
    call.setField("_dequeuedata", of: index)
    call.count = top
  }

  /// Pushes the task's field `_queue`, which it may have from its class.
  private func pushQueueField(_ call: LuaCall, task index: Int) throws(LuaFailure) {
    call.pushField("_queue", of: index)
    if !call.isNoneOrNil(at: -1) { return }
    call.pop()
    call.push("_queue")
    guard milonga_gettable(call.state, Int32(index)) == LUA_OK else { throw .raised }
  }

  /// In a thread of Copas that never has to wait: when it has had its share, the outcome to return.
  /// The function runs again after the others, with its `arguments`.
  @inline(__always)
  func giveWay(_ call: LuaCall, arguments: Int) -> LuaOutcome? {
    guard call.phase == .entered, let dispatcher = dispatcher(call),
      let outcome = dispatcher.turnOver()
    else { return nil }
    call.count = arguments
    return outcome
  }

  /// Suspends the running coroutine until the descriptor is ready; the function is to return the
  /// outcome, and runs again then.
  func suspend(
    _ call: LuaCall, _ handle: UnsafeMutablePointer<Handle>, _ direction: Direction,
    in function: StaticString
  ) throws(LuaFailure) -> LuaOutcome {
    if let dispatcher = dispatcher(call) {
      do throws(Errno) {
        return try dispatcher.wait(
          on: handle.pointee.descriptor, isWatched: &handle.pointee.isWatchedByCopas,
          for: direction)
      } catch {
        return call.pushFailure(error)
      }
    }
    guard lua_isyieldable(call.state) != 0 else {
      throw call.failure(
        "xpio: '\(function)' has to wait, but does not run in a coroutine that can yield; call it "
          + "in one, or use 'try_\(function)'")
    }
    call.pushRegistry(Self.currentTask)
    guard !call.isNoneOrNil(at: -1) else {
      throw call.failure(
        "xpio: '\(function)' has to wait, but there is no current task; call xpio.setCurrentTask "
          + "before the coroutine is resumed, or use 'try_\(function)'")
    }
    try schedule(call, task: call.count, handle, direction)
    call.pop()
    return .yield()
  }
}
