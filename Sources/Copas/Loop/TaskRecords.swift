import MilongaLua
import MilongaScheduler

/// What a task of the scheduler stands for.
///
/// There may be a million, so what is small comes first, and a Lua value is the bare number of its
/// place in the store: 4 bytes, where a `LuaStored` has 16. ``TaskRecords`` gives the values up.
struct CopasTask: BitwiseCopyable {
  enum Kind: BitwiseCopyable {
    case none, coroutine, server
    /// A connection without a coroutine of its own: `coroutine` and `reference` are there while it
    /// borrows one.
    case events
    /// A timer set with `copas.timeout`: `reference` is the coroutine, `handler` the callback.
    case timeout
  }

  var kind = Kind.none
  /// It removed itself: its next wait is its end.
  var isRemoved = false
  /// Timeouts tell what exactly the socket waited for.
  var tellsSocketTimeouts = false
  /// The observer that is told when the task is removed while it waits; 0 for none.
  var removalObserver: Int32 = 0
  /// The observer that is told, once, when the coroutine's turn ends and it has not; 0 for none.
  var waitObserver: Int32 = 0
  /// The coroutine's stack.
  var coroutine: OpaquePointer?
  /// The coroutine, or the server's socket; 0 while a coroutine sleeps until it is woken.
  var reference: Int32 = 0
  /// Arguments on the coroutine's stack that its first resume takes.
  var arguments: Int32 = 0
  /// The server's handler, or the coroutine's error handler; 0 for none.
  var handler: Int32 = 0
  /// The connection that is closed when the coroutine ends; 0 for none.
  var connection: Int32 = 0
  /// What the coroutine has waited for last, to compare with; see ``WaitedSockets``.
  var socket: UnsafeRawPointer?
  /// For a connection's coroutine. For a server `number` counts its connections.
  var origin = ConnectionOrigin()
  /// The observer that is told when the task has ended; 0 for none.
  var endObserver: Int32 = 0
}

/// The records of all tasks. It owns the Lua values that they name.
struct TaskRecords: ~Copyable {
  private var records = RawArray<CopasTask>()

  /// The record of a task that exists.
  @inline(__always)
  subscript(task: TaskID) -> CopasTask {
    _read { yield place(task.index).pointee }
    nonmutating _modify { yield &place(task.index).pointee }
  }

  /// The record at a place that a task has, or had.
  @inline(__always)
  subscript(index: Int32) -> CopasTask {
    _read { yield place(index).pointee }
  }

  @inline(__always)
  private func place(_ index: Int32) -> UnsafeMutablePointer<CopasTask> { records.place(index)! }

  /// How many places there are.
  var count: Int32 { Int32(records.count) }

  mutating func add(_ record: CopasTask, for task: TaskID) {
    while records.count <= Int(task.index) { records.append(CopasTask()) }
    self[task] = record
  }

  /// Takes the record of a task that ends. The caller releases it when nothing needs its values any
  /// more.
  func take(_ task: TaskID) -> CopasTask {
    let record = self[task]
    self[task] = CopasTask()
    return record
  }

  /// Gives up the values of a record that was taken.
  func release(_ record: CopasTask, _ main: LuaCall) {
    if record.connection != 0 { main.release(record.connection) }
    if record.reference != 0 { main.release(record.reference) }
    if record.handler != 0 { main.release(record.handler) }
  }

  /// Tasks without a coroutine of their own have nothing to do any more.
  func forgetEvents() {
    for index in 0..<count where place(index).pointee.kind == .events {
      place(index).pointee.kind = .none
    }
  }

  // MARK: Borrowed coroutines

  @inline(__always)
  func lend(_ worker: Events.Worker, to task: TaskID) {
    self[task].coroutine = worker.coroutine
    self[task].reference = worker.reference
  }

  /// The task must have borrowed one.
  @inline(__always)
  func takeWorker(from task: TaskID) -> Events.Worker {
    let record = self[task]
    self[task].coroutine = nil
    self[task].reference = 0
    return Events.Worker(coroutine: record.coroutine!, reference: record.reference)
  }

  // MARK: Values

  /// The coroutine on top of the stack, which is popped, is held by its task.
  func hold(_ task: TaskID, popping call: LuaCall) { self[task].reference = call.retainTop() }

  /// The coroutine lives only as long as something else holds it.
  func letGo(_ task: TaskID, _ main: LuaCall) {
    main.release(self[task].reference)
    self[task].reference = 0
  }

  /// The value on top of the stack, which is popped, is the coroutine's error handler.
  func setHandler(_ task: TaskID, popping call: LuaCall) {
    let handler = call.retainTop()
    removeHandler(task, call)
    self[task].handler = handler
  }

  func removeHandler(_ task: TaskID, _ main: LuaCall) {
    if self[task].handler != 0 { main.release(self[task].handler) }
    self[task].handler = 0
  }
}
