import CMilongaLua
import CMilongaShims
import Copas
import Glibc
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

/// XPIO inside one Lua state: its classes and what they share.
final class XPIOLibrary {
  let sockets: LuaClass<SocketObject>
  let processes: LuaClass<ProcessObject>
  let queues: LuaClass<TaskQueue>
  let clock = EventClock()
  /// What is read goes through here: only as much memory is touched as ever came at once.
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 1024, alignment: 16)
  /// By their numbers, from 1; nil for those that are gone.
  private var queuesByNumber: [TaskQueue?] = []
  private var lastSerial: UInt64 = 0
  /// The dispatcher of Copas, when the program has one.
  private var dispatcher: CopasLoop?
  /// The main thread's stack, where a debugger's or an interpreter's hook is.
  private let main: OpaquePointer
  private let vm: UnsafeMutablePointer<milonga_vm>?

  static let currentTask = LuaRegistryKey()

  init(_ call: LuaCall) {
    // As XPIO has it: a write to a closed connection is an error, and does not end the program.
    signal(SIGPIPE, SIG_IGN)
    Process.prepareToSpawn()
    sockets = LuaClass(call, incomplete: "xpio socket")
    processes = LuaClass(call, incomplete: "xpio process")
    queues = LuaClass(call, incomplete: "xpio task queue")
    main = milonga_mainthread(call.state)
    vm = milonga_vm_of(main)
    completeSockets(call)
    completeProcesses(call)
    completeQueues(call)
  }

  deinit { buffer.deallocate() }

  // MARK: Descriptors

  func handle(_ descriptor: Int32) -> Handle {
    lastSerial += 1
    return Handle(descriptor: descriptor, serial: lastSerial)
  }

  /// The descriptor is going to be closed, or to mean something else. The tasks that wait for it
  /// get a turn.
  func forget(_ handle: inout Handle) {
    if handle.isInSeveralQueues {
      for queue in queuesByNumber { queue?.forget(handle.descriptor, owner: handle.serial) }
    } else if handle.queue != 0 {
      queuesByNumber[handle.queue - 1]?.forget(handle.descriptor, owner: handle.serial)
    }
    if handle.isWatchedByCopas { dispatcher?.forget(handle.descriptor) }
    handle.isWatchedByCopas = false
  }

  func close(_ handle: inout Handle) {
    guard handle.descriptor >= 0 else { return }
    forget(&handle)
    _ = Glibc.close(handle.descriptor)
    handle.descriptor = -1
  }

  // MARK: Queues

  func makeQueue() throws(Errno) -> TaskQueue {
    let place = queuesByNumber.firstIndex { $0 == nil } ?? queuesByNumber.count
    let queue = try TaskQueue(.chosen, number: place + 1, clock: clock)
    if place == queuesByNumber.count { queuesByNumber.append(nil) }
    queuesByNumber[place] = queue
    return queue
  }

  func remove(_ queue: TaskQueue) { queuesByNumber[queue.number - 1] = nil }

  // MARK: Waiting

  /// The dispatcher, if the running code is one of its coroutines.
  func dispatcher(_ call: LuaCall) -> CopasLoop? {
    if dispatcher == nil { dispatcher = CopasLoop.existing(call) }
    guard let dispatcher, dispatcher.isInside(call) else { return nil }
    return dispatcher
  }

  /// A signal came that wants the running code to end, which no Lua code notices while it waits.
  var wantsInterruption: Bool {
    // Other interpreters set a hook, which runs as soon as the wait is over.
    vm.map { $0.pointee.interrupted != 0 } ?? (lua_gethookmask(main) != 0)
  }

  /// Ends the running code after a signal, as `milonga` does.
  func raiseInterruption(_ call: LuaCall) throws(LuaFailure) {
    guard let vm, vm.pointee.interrupted != 0 else { return }
    vm.pointee.interrupted = 0
    lua_sethook(main, nil, 0, 0)
    throw call.failure("interrupted!")
  }
}
