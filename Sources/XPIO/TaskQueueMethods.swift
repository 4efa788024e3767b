import CMilongaLua
import CMilongaShims
import MilongaIO
import MilongaLua
import SystemPackage

/// The Lua values that belong to a queue.
private enum Value {
  /// The tasks, by their slots from 1.
  static let tasks = 1
  /// What becomes a task's `_dequeue`.
  static let dequeue = 2
  static let count = 2
}

extension XPIOLibrary {
  /// `xpio.tqueue()`.
  func addTaskQueue(_ call: LuaCall) {
    call.setFunction("tqueue") { [self] (call) throws(LuaFailure) in
      do throws(Errno) {
        pushQueue(try makeQueue(), call)
        return .results(1)
      } catch {
        return call.pushFailure(error)
      }
    }
  }

  private func pushQueue(_ queue: TaskQueue, _ call: LuaCall) {
    queues.push(queue, onto: call, userValues: Value.count)
    call.pushTable()
    call.pushValue(at: -1)
    call.setUserValue(Value.tasks, of: -3)
    call.push(upvalues: 1) { (call) throws(LuaFailure) in
      try call.check(1, is: .table)
      call.pushField("_dequeuedata", of: 1)
      if call.type(at: -1) == .number, let number = call.integerIfInteger(at: -1),
        let slot = queue.remove(number)
      {
        call.pushUpvalue(1)
        call.pushNil()
        call.setElement(slot + 1, of: -2)
      }
      call.pushNil()
      call.setField("_dequeue", of: 1)
      return .results(0)
    }
    call.setUserValue(Value.dequeue, of: -2)
  }

  func completeQueues(_ call: LuaCall) {
    queues.complete(
      call,
      methods: { call in
        call.setFunction("wait") { [self] (call) throws(LuaFailure) in try wait(call) }
        call.setFunction("isEmpty") { [self] (call) throws(LuaFailure) in
          call.push(try queues.check(call, at: 1).pointee.count == 0)
          return .results(1)
        }
      },
      metamethods: { addName(of: queues, $0) { _ in "" } },
      finalize: { [self] queue in remove(queue) })
  }

  /// `tqueue:wait([timeout])`.
  private func wait(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let queue = try queues.check(call, at: 1).pointee
    var seconds = Double.infinity
    if call.boolean(at: 2) {
      seconds = try call.number(at: 2)
      guard !seconds.isNaN else { throw call.argumentFailure(2, "seconds expected, got nan") }
    }
    let deadline = MonotonicTime.deadline(
      after: seconds, from: seconds.isInfinite ? 0 : MonotonicTime.now())
    if queue.count == 0, deadline == MonotonicTime.never {
      call.pushNil()
      return .results(1)
    }
    do throws(Errno) {
      try queue.wait(until: deadline, isInterrupted: { wantsInterruption })
    } catch {
      throw call.failure("xpio: waiting for descriptors failed: \(error)")
    }
    try raiseInterruption(call)
    call.count = 1
    call.pushTable(elements: 4)
    call.pushUserValue(Value.tasks, of: 1)
    var taken = 0
    while let slot = queue.takeReady() {
      milonga_rawgeti(call.state, 3, lua_Integer(slot + 1))
      call.pushNil()
      call.setField("_dequeue", of: -2)
      taken += 1
      call.setElement(taken, of: 2)
      call.pushNil()
      call.setElement(slot + 1, of: 3)
    }
    call.pop()
    return .results(1)
  }
}
