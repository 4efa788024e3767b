import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaLua
import MilongaScheduler

/// What a task of the scheduler stands for.
struct CopasTask {
  enum Kind {
    case none, coroutine, server
    /// A connection without a coroutine of its own: `coroutine` and `reference` are there while it borrows one.
    case events
    /// A timer set with `copas.timeout`: `reference` is the coroutine, `handler` the callback.
    case timeout
  }

  // What is small comes first, so that nothing is lost between the fields: there may be a million.
  var kind = Kind.none
  /// It removed itself: its next wait is its end.
  var isRemoved = false
  /// Timeouts tell what exactly the socket waited for.
  var tellsSocketTimeouts = false
  /// Told when it is removed while it waits; 0 for nobody.
  var removalObserver: Int32 = 0
  /// The coroutine's stack.
  var coroutine: OpaquePointer?
  /// The coroutine, or the server's socket, in the registry; 0 while a coroutine sleeps until somebody
  /// wakes it.
  var reference: Int32 = 0
  /// Arguments on the coroutine's stack that its first resume takes.
  var arguments: Int32 = 0
  /// The server's handler, or the coroutine's error handler, in the registry; 0 for none.
  var handler: Int32 = 0
  /// The connection that is closed when the coroutine ends, in the registry; 0 for none.
  var connection: Int32 = 0
  /// For a connection's coroutine. For a server `number` counts its connections.
  var origin = ConnectionOrigin()
  /// Told when it has ended; 0 for nobody.
  var endObserver: Int32 = 0
}

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
    let task = scheduler.spawn()
    store(
      CopasTask(
        kind: .coroutine, coroutine: coroutine, reference: reference,
        arguments: Int32(arguments)), for: task)
    setTask(task, of: coroutine)
    return task
  }

  func store(_ record: CopasTask, for task: TaskID) {
    let index = Int(task.index)
    while tasks.count <= index { tasks.append(CopasTask()) }
    tasks[index] = record
  }

  /// The task of the coroutine at `index`, nil when it is none of ours.
  func task(_ call: LuaCall, at index: Int) -> TaskID? {
    lua_tothread(call.state, Int32(index)).flatMap { task(of: $0) }
  }

  /// Frees what the task holds. A coroutine that has not ended is closed, with its pending
  /// to-be-closed variables.
  func end(_ task: TaskID) {
    guard scheduler.exists(task) else { return }
    let record = tasks[Int(task.index)]
    // A wait queue that it waited in looks at the record once more.
    scheduler.finish(task)
    tasks[Int(task.index)] = CopasTask()
    if record.kind == .events {
      // It may start another one, which may take the same place.
      let handler = events.handlers[Int(task.index)]
      events.handlers[Int(task.index)] = nil
      handler?.ended()
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
      main.release(record.connection)
    }
    if record.reference != 0 { main.release(record.reference) }
    if record.handler != 0 { main.release(record.handler) }
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

  /// Closes the socket on top of the stack and pops it. It need not be ours: a handler may have replaced it
  /// by one that speaks TLS.
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
}
