import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaLua
import MilongaScheduler

// The life of a task, from the function that becomes a coroutine to the end.
extension CopasLoop {
  /// Makes a coroutine of the function that lies below `arguments` on top of the stack (both are
  /// popped). It has its turn now: resume it, or let it wait.
  ///
  /// Leaves the coroutine on the stack.
  func spawnCoroutine(_ call: LuaCall, arguments: Int) -> TaskID {
    let coroutine = lua_newthread(call.state)!
    lua_checkstack(coroutine, Int32(arguments + 1))
    call.insert(at: call.count - arguments - 1)
    lua_xmove(call.state, coroutine, Int32(arguments + 1))
    call.pushValue(at: -1)
    let reference = call.retainTop()
    let task = spawn(
      CopasTask(
        kind: .coroutine, coroutine: coroutine, reference: reference,
        arguments: Int32(arguments)))
    setTask(task, of: coroutine)
    return task
  }

  /// A new task with this record. It has its turn now.
  func spawn(_ record: CopasTask) -> TaskID {
    let task = scheduler.spawn()
    tasks.add(record, for: task)
    return task
  }

  /// A thread of the function that lies below its `arguments` on top of the stack (both are
  /// popped); it runs in the next step. Leaves the coroutine on the stack.
  @discardableResult
  package func startThread(_ call: LuaCall, arguments: Int, name: String?) -> TaskID {
    let task = spawnCoroutine(call, arguments: arguments)
    if let name { names.set(call, of: -1, name) }
    scheduler.yield(task)
    return task
  }

  func removeThread(_ task: TaskID) {
    guard task != current else {
      tasks[task].isRemoved = true
      return
    }
    holdAgain(task)
    if !scheduler.cancel(task) { end(task) }
  }

  /// Lets the coroutine end as with `copas.removethread`, but in its own turn: where it waits, or
  /// where it waits next.
  package func removeInItsTurn(_ task: TaskID) {
    guard scheduler.exists(task) else { return }
    holdAgain(task)
    if !scheduler.cancel(task) { tasks[task].isRemoved = true }
  }

  /// Whether the coroutine has not ended.
  package func exists(_ task: TaskID) -> Bool { scheduler.exists(task) }

  /// The end of the task does not close its connection: others use it.
  public func keepConnection(of task: TaskID) {
    guard scheduler.exists(task), tasks[task].connection != 0 else { return }
    main.release(tasks[task].connection)
    tasks[task].connection = 0
  }

  /// Frees what the task holds. A coroutine that has not ended is closed, with its pending
  /// to-be-closed variables.
  func end(_ task: TaskID) {
    guard scheduler.exists(task) else { return }
    let record = tasks[task]
    // A wait queue that it waited in looks at the record once more.
    scheduler.finish(task)
    _ = tasks.take(task)
    if record.kind == .events {
      endHandler(of: task)
    } else if record.kind == .server, !events.factories.isEmpty {
      events.factories[task] = nil
    }
    if record.kind == .coroutine || record.kind == .events, let coroutine = record.coroutine {
      setTask(nil, of: coroutine)
      let isWaiting = lua_status(coroutine) == LUA_YIELD
      close(coroutine, of: record)
      if isWaiting { tell(record.removalObserver, endOf: task) }
      tell(record.endObserver, endOf: task)
    }
    if record.connection != 0 {
      main.pushRetained(record.connection)
      closeSocket(main)
    }
    tasks.release(record, main)
  }

  /// Closes a coroutine that waits or has failed. Its failure was reported; one in closing is now.
  private func close(_ coroutine: OpaquePointer, of record: CopasTask) {
    let status = lua_status(coroutine)
    // What its limits have ended cannot be closed: its code would go on without them.
    guard status != LUA_OK, milonga_is_stopped(coroutine) == 0 else { return }
    if milonga_closecoroutine(coroutine, main.state) != LUA_OK, status == LUA_YIELD {
      reportError(of: record, from: coroutine)
    }
    lua_settop(coroutine, 0)
  }

  /// Closes the socket on top of the stack and pops it. It need not be ours: a handler may have
  /// replaced it by one that speaks TLS.
  func closeSocket(_ call: LuaCall) {
    defer { call.pop() }
    if let socket = sockets.any.payload(call, at: -1) {
      sockets.close(&socket.pointee)
      return
    }
    limitGoodbye(call, at: -1)
    call.push("close")
    guard milonga_gettable(call.state, -2) == LUA_OK, call.type(at: -1) == .function else {
      call.pop()
      return
    }
    call.pushValue(at: -2)
    if milonga_pcall(call.state, 1, 0, 0) != LUA_OK { call.pop() }
  }

  // MARK: Which task a coroutine is

  /// The task of a coroutine; nil when the dispatcher does not run it. In a state of our own every
  /// coroutine has it in the space that Lua leaves in front of it; the coroutines of others may use
  /// that for something else.
  func task(of coroutine: OpaquePointer) -> TaskID? {
    guard vm != nil else { return tasksByCoroutine[coroutine] }
    let bits = milonga_extraspace(coroutine).pointee
    return bits == 0 ? nil : TaskID(bits: ~bits)
  }

  /// The task of the coroutine at `index`; nil when the dispatcher does not run it.
  func task(_ call: LuaCall, at index: Int) -> TaskID? {
    lua_tothread(call.state, Int32(index)).flatMap { task(of: $0) }
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
}
