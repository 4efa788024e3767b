import CMilongaLua
import CMilongaShims
import Copas
import DequeModule
import Glibc
import LuaCodec
import LuaConnection
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler

/// One side of a connection: calls the other side, and serves its calls.
///
/// In the dispatcher a few coroutines, the *workers*, serve it. One of them reads; it runs the functions
/// that are called itself, and when one of them waits for something, another worker reads on. So a
/// call that does not wait costs no coroutine. Whoever calls sleeps until the reader has its answer.
///
/// Outside the dispatcher a call reads by itself until its answer is there, and serves what arrives
/// meanwhile.
final class RPCPeer {
  let library: RPCLibrary
  let loop: CopasLoop
  let configuration: RPCConfiguration
  let stream: StreamConnection
  let id: Int
  /// The other side's address, numbers.
  let remoteAddress: SocketAddress?
  /// The same, for messages.
  let address: String
  private var socketReference: Int32
  /// What has to happen before the first message.
  var opening: Opening
  /// The coroutine that waits for that.
  var opener: TaskID?
  /// The userdata that holds this object, from its opening until the connection ends.
  var userdataReference: Int32 = 0
  /// The descriptor whose hang-up is told (RPCPeer+Leaving); -1 for none.
  var observedDescriptor: Int32 = -1
  private var observerNumber: Int32 = 0

  var session: LuaRPCSession<Caller>
  /// What is going to be sent.
  var output = OutputBuffer()
  var isFlushDue = false
  /// A message is being read: Lua may run a finalizer, which must not read the next one.
  var isReading = false
  /// There were functions among the values of the call that was read last.
  var hasReadFunctions = false
  /// The other side sends messages in two writes and has to be told at once what has come.
  var isSplitting = false
  /// Where the received bytes end, while one of their messages is being read.
  var receivedEnd: UnsafeRawPointer?
  /// Something was sent since the last read.
  var hasSent = false

  // MARK: Calls (RPCPeer+Calling)

  /// Who waits for an answer.
  struct Caller {
    /// A coroutine that sleeps; nil for a call that reads by itself.
    let task: TaskID?
    let state: OpaquePointer
    let id: Int
  }

  /// Coroutines that wait for a sequence number.
  var waitingForNumber: Deque<TaskID> = []
  /// Those whom a number is kept for.
  var granted: [TaskID] = []
  /// Answers to calls that read by themselves, but somebody else has read them.
  var arrived: [Int: [UInt8]?] = [:]
  var lastCallID = 0
  /// The call that ran last has its results on the stack.
  var hasFinished = false
  /// How many.
  var resultCount = 0

  // MARK: Workers (RPCPeer+Workers)

  var reader: TaskID?
  /// The reader runs a function.
  var isReaderCalling = false
  /// The reader sleeps until the other side has read some of what waits for it.
  var isReaderPaused = false
  var writer: TaskID?
  var isWriterWanted = false
  var idleWorkers: [TaskID] = []
  /// The coroutine with whose end the dispatcher closes the connection.
  var mainWorker: TaskID?
  /// Calls whose functions wait for something, by their workers.
  var suspended: [TaskID: UInt8] = [:]
  /// The call whose function the reader runs.
  var readerSequence: UInt8 = 0
  var callsSinceFlush = 0
  var lastFlush: Int64 = 0
  /// Bytes that had been received when the reader began to wait.
  var lastReceived = 0
  var hasToldOfUnknownAnswer = false

  // MARK: What is held (RPCPeer+Holding)

  var holder: BufferHolder?
  /// The keeper knows of something that is held, or has to be told.
  var isHolding = false
  /// Bytes of the call that the reader read last.
  var lastCallBytes = 0
  /// Bytes of the calls that wait for something, of large ones, by their workers.
  var largeCalls: [TaskID: Int] = [:]
  /// The reader sleeps until there is room.
  var isReaderWithoutRoom = false

  // MARK: Objects (RPCPeer+Objects), scripts (RPCPeer+Scripts)

  /// Objects by reference: ids by objects, objects by ids; in the registry, 0 while there are none.
  var objectTable: Int32 = 0
  /// The types of such objects by their ids.
  var typeTable: Int32 = 0
  var objectCount = 0
  /// What stands for objects of the other side, by their ids: weak.
  var proxyTable: Int32 = 0
  /// Scripts by their numbers.
  var scriptTable: Int32 = 0
  var scriptCount = 0

  /// What the other side may do. Nothing, when it is not this machine and nobody said what it may use.
  let allowed: RPCConfiguration.Allowed
  let functions: LuaGraphSink.FunctionPolicy

  init(
    _ library: RPCLibrary, _ configuration: RPCConfiguration, _ stream: StreamConnection,
    socketReference: Int32
  ) {
    self.library = library
    self.configuration = configuration
    self.stream = stream
    self.socketReference = socketReference
    loop = library.loop
    id = library.nextID()
    remoteAddress = stream.remoteAddress
    address = remoteAddress.map(\.description) ?? "unknown peer"
    let isHere = remoteAddress.map { $0.family == AF_UNIX || isLoopback($0.numericHost) } ?? false
    let offersNothing = configuration.exposesGlobals && !configuration.isTrusting && !isHere
    allowed = offersNothing ? [] : configuration.allowed
    functions = offersNothing ? .init(acceptsText: false) : configuration.functions
    session = LuaRPCSession(maxBytes: configuration.limits.frameBytes)
    opening =
      configuration.tls == nil
      ? .authorization
      : .handshake(
        until: MonotonicTime.deadline(
          after: configuration.handshakeTimeout, from: MonotonicTime.now()))
    observerNumber = loop.addObserver(self)
  }

  deinit { forgetHolder() }

  /// Afterwards the socket, which may be collected then, is not looked at any more.
  var isOpen: Bool { socketReference != 0 && stream.isOpen }

  /// Pushes the userdata; false, with nothing pushed, when the connection has ended.
  func pushUserdata(_ call: LuaCall) -> Bool {
    guard userdataReference != 0 else { return false }
    call.pushRetained(userdataReference)
    return true
  }

  /// Pushes the LuaSocket object, or that of LuaSec which is in its place.
  func pushSocket(onto call: LuaCall) {
    if stream.isSecure {
      stream.pushSecureConnection(onto: call)
    } else {
      call.pushRetained(socketReference)
    }
  }

  /// From now on ``ended(_:)`` is told of the running coroutine.
  func observe() { loop.observeRemoval(by: observerNumber) }

  // MARK: The end

  /// Ends the connection: everybody who waits for something is told.
  func close() {
    guard socketReference != 0 else { return }
    flushBeforeClosing()
    stream.close()
    output.release()
    for caller in session.calls.failAll() { tellEnd(caller) }
    for task in waitingForNumber { loop.wake(task) }
    waitingForNumber = []
    granted = []
    for task in idleWorkers { loop.wake(task) }
    idleWorkers = []
    if isReaderPaused || isReaderWithoutRoom, let reader { loop.wake(reader) }
    leaveFunctions()
    release()
    if isHolding { tellHolding() }
  }

  /// What was answered before the end should arrive, if it can at once.
  private func flushBeforeClosing() {
    if isOpen, !output.isEmpty { _ = stream.flush(&output) }
  }

  private func tellEnd(_ caller: Caller) {
    if let task = caller.task {
      lua_pushinteger(caller.state, AnswerStatus.closed)
      loop.wake(task)
    } else {
      arrived[caller.id] = .some(nil)
    }
  }

  /// Lets go of everything in Lua.
  func release() {
    guard socketReference != 0 else { return }
    stream.close()
    loop.removeObserver(observerNumber)
    stopObservingHangup()
    for reference in [
      socketReference, userdataReference, objectTable, typeTable, proxyTable, scriptTable,
    ] where reference != 0 {
      loop.main.release(reference)
    }
    (socketReference, userdataReference, objectTable, typeTable, proxyTable, scriptTable) =
      (0, 0, 0, 0, 0, 0)
  }

  /// The connection is lost, or the stream cannot be trusted any more: says why, once, and closes.
  func disconnect(_ reason: String) {
    guard socketReference != 0 else { return }
    configuration.log.disconnected(address, reason)
    close()
  }
}

/// What stands below an answer on its caller's stack, besides the statuses of the wire.
enum AnswerStatus {
  static let closed: lua_Integer = -1
  /// The answer cannot be read; a string says why.
  static let unreadable: lua_Integer = -2
}

extension RPCPeer: ThreadObserver {
  /// A coroutine was removed while it waited.
  func ended(_ task: TaskID) {
    session.calls.abandon { $0.task == task }
    if let index = granted.firstIndex(of: task) {
      granted.remove(at: index)
      grantNumber()
    }
    waitingForNumber.removeAll { $0 == task }
    idleWorkers.removeAll { $0 == task }
    endServing(task)
    if let sequence = suspended.removeValue(forKey: task) {
      respond(loop.main, sequence, error: "rpc: the thread that served the call was removed")
      flushSoon()
    }
    if task == reader && !isReaderCalling || task == writer || task == mainWorker
      || task == opener
    {
      close()
    }
  }
}
