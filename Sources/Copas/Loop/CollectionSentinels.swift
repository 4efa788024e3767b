import CMilongaLua
import CMilongaShims
import MilongaLua
import MilongaScheduler

/// Goes with a coroutine, and tells of its end.
struct CollectionSentinel {
  let task: TaskID
}

/// Tells when a coroutine was collected that only `copas.wakeup` could have got up: a table with
/// weak keys holds a sentinel for each such coroutine, which is finalised with it.
final class CollectionSentinels {
  private var sentinels: LuaClass<CollectionSentinel>!
  /// Empty until there is such a coroutine.
  private var table = LuaStored()

  func open(_ call: LuaCall, _ loop: CopasLoop) {
    sentinels = LuaClass(
      call, name: "copas sentinel", finalize: { [unowned loop] in loop.collected($0.task) })
  }

  /// Watches the running coroutine.
  func watch(_ call: LuaCall, _ task: TaskID) {
    if table.isEmpty { table = call.makeWeakTable() }
    table.push(onto: call)
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
}

// A coroutine that only `copas.wakeup` gets up lives as long as something holds it: the
// dispatcher's own reference is weak while it sleeps. Its task ends when it is collected.
extension CopasLoop {
  /// Lets the running coroutine sleep until it is woken.
  func sleepForEver(_ call: LuaCall) -> LuaOutcome {
    guard mayWait, let current else { return .yield() }
    sentinels.watch(call, current)
    tasks.letGo(current, call)
    return sleep(until: .max)
  }

  /// The coroutine is going to run, or to be closed: the dispatcher holds it again.
  func holdAgain(_ task: TaskID) {
    guard let coroutine = tasks[task].coroutine, tasks[task].reference == 0, main.reserve(1),
      lua_checkstack(coroutine, 1) != 0
    else { return }
    lua_pushthread(coroutine)
    lua_xmove(coroutine, main.state, 1)
    tasks.hold(task, popping: main)
  }

  /// The coroutine is gone: nothing could have woken it.
  fileprivate func collected(_ task: TaskID) {
    guard scheduler.exists(task), tasks[task].reference == 0 else { return }
    forget(tasks[task].coroutine, of: task)
    scheduler.finish(task)
    let record = tasks.take(task)
    if record.kind == .events { endHandler(of: task) }
    tell(record.removalObserver, endOf: task)
    tell(record.endObserver, endOf: task)
    tasks.release(record, main)
  }
}

extension LuaCall {
  /// A new table with weak keys, or with what `mode` says.
  func makeWeakTable(_ mode: StaticString = "k") -> LuaStored {
    pushTable()
    pushTable(fields: 1)
    push(mode)
    setField("__mode", of: -2)
    setMetatable(of: -2)
    return LuaStored(popping: self)
  }
}
