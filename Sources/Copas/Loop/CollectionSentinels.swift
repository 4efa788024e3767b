import CMilongaLua
import CMilongaShims
import MilongaLua
import MilongaScheduler

// A coroutine that only `copas.wakeup` gets up lives as long as somebody knows it: the dispatcher's own
// reference is weak while it sleeps. Its task ends when it is collected.
extension CopasLoop {
  /// Lets the running coroutine sleep until it is woken.
  func sleepForEver(_ call: LuaCall) -> LuaOutcome {
    guard mayWait, let current else { return .yield() }
    watchCollection(call, of: current)
    let index = Int(current.index)
    call.release(tasks[index].reference)
    tasks[index].reference = 0
    return sleep(until: .max)
  }

  /// The coroutine is going to run, or to be closed: the dispatcher holds it again.
  func holdAgain(_ task: TaskID) {
    let index = Int(task.index)
    guard let coroutine = tasks[index].coroutine, tasks[index].reference == 0, main.reserve(1),
      lua_checkstack(coroutine, 1) != 0
    else { return }
    lua_pushthread(coroutine)
    lua_xmove(coroutine, main.state, 1)
    tasks[index].reference = main.retainTop()
  }

  /// A table with weak keys holds something for each such coroutine that is finalised with it.
  private func watchCollection(_ call: LuaCall, of task: TaskID) {
    if sentinelsReference == 0 { sentinelsReference = retainWeakTable(call) }
    call.pushRetained(sentinelsReference)
    lua_pushthread(call.state)
    if milonga_rawget(call.state, -2) != LUA_TNIL {
      call.pop(2)
      return
    }
    call.pop()
    lua_pushthread(call.state)
    sentinels.push(CollectionSentinel(task: task), onto: call)
    milonga_rawset(call.state, -3)
    call.pop()
  }

  /// The coroutine is gone: nobody could have woken it.
  func collected(_ sentinel: CollectionSentinel) {
    let task = sentinel.task
    guard scheduler.exists(task), tasks[Int(task.index)].reference == 0 else { return }
    let record = tasks[Int(task.index)]
    forget(record.coroutine, of: task)
    scheduler.finish(task)
    tasks[Int(task.index)] = CopasTask()
    tell(record.removalObserver, endOf: task)
    tell(record.endObserver, endOf: task)
    if record.handler != 0 { main.release(record.handler) }
    if record.connection != 0 { main.release(record.connection) }
  }
}

/// Goes with a coroutine, and says so.
struct CollectionSentinel {
  let task: TaskID
}
