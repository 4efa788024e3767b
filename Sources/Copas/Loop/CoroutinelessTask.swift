import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaLua
import MilongaScheduler
import SystemPackage

// Connections without a coroutine of their own. Each is a task like any other; for its turn it
// borrows a coroutine from a few that all such connections share. Mostly it gives the coroutine
// back at the end of the turn, or to the connection whose turn comes next, and waits for its next
// event with nothing but an object of Swift's. Only while a function that it has called waits for
// something does it keep the coroutine.

/// What serves such a connection. The object lives until its run has returned.
open class CoroutinelessTask {
  /// What the last run has left.
  package final var state = CoroutinelessTaskState.atRest

  public init() {}

  /// The connection's turn: runs as a Lua function in a borrowed coroutine, and is to wait as such
  /// functions do. After it was at rest the coroutine may be another one, and what is on its stack
  /// belongs to others.
  open func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    preconditionFailure("\(type(of: self)) does not say what it does")
  }

  /// The connection is over, whatever the reason.
  open func ended() {}
}

package enum CoroutinelessTaskState: Sendable {
  /// It needs its coroutine when it goes on.
  case busy
  /// It waits with nothing on the stack.
  case atRest
  /// It is over.
  case finished
}

/// Makes the handler of a connection. The number is that of its socket in the store.
package typealias CoroutinelessTaskFactory =
  (UnsafeMutablePointer<SocketObject>, Int32) -> CoroutinelessTask

/// What the dispatcher knows of such connections.
struct Events {
  /// By the index of their tasks.
  var handlers: [CoroutinelessTask?] = []
  var factories: [TaskID: CoroutinelessTaskFactory] = [:]
  /// What the handler whose turn it is, or was last, has left.
  var state = CoroutinelessTaskState.atRest
  /// Coroutines that are not lent.
  var workers: [Worker] = []
  /// So many are kept.
  static let mostWorkers = 64

  /// A coroutine that connections borrow, and its number in the store.
  struct Worker: BitwiseCopyable {
    let coroutine: OpaquePointer
    let reference: Int32
  }
}

extension CopasLoop {
  /// Serves the listening socket at `index`; each connection is a handler that `make` makes.
  ///
  /// - Throws: a Lua error when the socket cannot be watched.
  package func addEventServer(
    _ call: LuaCall, socket index: Int, make: @escaping CoroutinelessTaskFactory
  ) throws(LuaFailure) {
    guard let socket = sockets.server(call, at: index), socket.pointee.descriptor >= 0 else {
      throw call.argumentFailure(index, "the server's socket is closed")
    }
    socket.pointee.timeouts.block = 0
    do throws(Errno) { try watch(socket) } catch {
      throw call.failure("cannot watch the server's socket: \(error)")
    }
    let task = servers.start(call, socket: index, socket.pointee.descriptor, handler: 0)
    events.factories[task] = make
  }

  /// Stops serving a listening socket, and closes it.
  package func removeEventServer(_ socket: UnsafeMutablePointer<SocketObject>) {
    servers.remove(socket.pointee.descriptor)
    sockets.close(&socket.pointee)
  }

  /// Makes a task that is no connection; it has its first turn after those that are ready now.
  package func startEvents(_ handler: CoroutinelessTask) {
    let task = spawn(CopasTask(kind: .events))
    setHandler(handler, of: task)
    scheduler.yield(task)
  }

  private func setHandler(_ handler: CoroutinelessTask, of task: TaskID) {
    let index = Int(task.index)
    while events.handlers.count <= index { events.handlers.append(nil) }
    events.handlers[index] = handler
  }

  /// The task is over: tells its handler.
  func endHandler(of task: TaskID) {
    // It may start another one, which may take the same place.
    let handler = events.handlers[Int(task.index)]
    events.handlers[Int(task.index)] = nil
    handler?.ended()
  }

  /// Gives the connection on top of the main stack, which is popped, its first turn.
  func startEvents(
    _ make: CoroutinelessTaskFactory, _ socket: UnsafeMutablePointer<SocketObject>,
    origin: ConnectionOrigin
  ) {
    let reference = main.retainTop()
    let task = spawn(CopasTask(kind: .events, connection: reference, origin: origin))
    setHandler(make(socket, reference), of: task)
    beginTurn()
    runEvents(task, .woken)
  }

  /// A turn of such a connection.
  @inline(__always)
  func runEvents(_ task: TaskID, _ reason: WakeReason) {
    if tasks[task].coroutine == nil {
      if reason == .cancelled { return end(task) }
      borrowWorker(for: task)
    }
    // A function that the handler called, and that goes on waiting, does not come back to it.
    events.state = .busy
    let task = resume(task, reason)
    guard scheduler.exists(task) else { return }
    switch events.state {
    case .busy: return
    case .atRest: giveBackWorker(of: task)
    case .finished:
      giveBackWorker(of: task)
      end(task)
    }
  }

  @inline(__always)
  private func borrowWorker(for task: TaskID) {
    let worker = events.workers.popLast() ?? makeWorker()
    tasks.lend(worker, to: task)
    setTask(task, of: worker.coroutine)
  }

  /// A script has closed the coroutine that such a connection has borrowed: the connection gets
  /// another one, unless it is in the middle of something.
  func exchangeWorker(of task: TaskID) -> Bool {
    guard tasks[task].kind == .events, case .atRest? = events.handlers[Int(task.index)]?.state
    else { return false }
    main.release(tasks.takeWorker(from: task).reference)
    let worker = makeWorker()
    tasks.lend(worker, to: task)
    setTask(task, of: worker.coroutine)
    return true
  }

  @inline(__always)
  private func giveBackWorker(of task: TaskID) {
    let worker = tasks.takeWorker(from: task)
    setTask(nil, of: worker.coroutine)
    if events.workers.count < Events.mostWorkers {
      events.workers.append(worker)
    } else {
      _ = milonga_closecoroutine(worker.coroutine, main.state)
      main.release(worker.reference)
    }
  }

  /// A coroutine that runs the connection which has borrowed it.
  @inline(never)
  private func makeWorker() -> Events.Worker {
    let coroutine = lua_newthread(main.state)!
    let reference = main.retainTop()
    LuaCall(coroutine).push(function: { (call) throws(LuaFailure) in try self.takeTurns(call) })
    return Events.Worker(coroutine: coroutine, reference: reference)
  }

  /// The turn of the connection that has borrowed the coroutine; then, without a wait in between,
  /// the turns of the next ones, as long as they are such connections at rest.
  private func takeTurns(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    var call = call
    guard isInside(call) else {
      // A script has resumed it. One that rests goes on resting.
      if task(of: call.state) == nil { return .yield() }
      try requireInside(call, "loop")
      return .results(0)
    }
    while true {
      let outcome = try run(handlerOf: current!, call)
      switch events.state {
      case .busy: return outcome
      case .finished:
        // The coroutine is for others; the task ends in its sleep.
        call.count = 0
        return sleep(until: .max)
      case .atRest:
        guard passOn() else { return outcome }
        events.state = .busy
        call = call.asResumed
      }
    }
  }

  /// Runs the handler without retaining it meanwhile, which would be a tenth of what the turn
  /// costs.
  @inline(__always)
  private func run(handlerOf task: TaskID, _ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let handler = Unmanaged.passUnretained(events.handlers[Int(task.index)]!)
    let outcome: Result<LuaOutcome, LuaFailure> = handler._withUnsafeGuaranteedRef { handler in
      defer { events.state = handler.state }
      do throws(LuaFailure) {
        return .success(try handler.run(call))
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }

  /// Gives the coroutine of the running connection, which has come to rest, to the next one; false
  /// when that is something else, or has something else to do.
  private func passOn() -> Bool {
    let last = current!
    guard monitor == nil, !tasks[last].isRemoved else { return false }
    let next = scheduler.takeNextTurn { index in
      tasks[index].kind == .events && tasks[index].coroutine == nil
    }
    guard let next else { return false }
    if next.reason == .cancelled {
      end(next.task)
      return false
    }
    if let observer = turnEndObserver {
      turnEndObserver = nil
      observer.turnEnded()
    }
    tasks.lend(tasks.takeWorker(from: last), to: next.task)
    setTask(next.task, of: turn.coroutine!)
    turn.task = next.task
    turn.reason = next.reason
    noteTurn()
    return true
  }
}
