import CMilongaLua
import CMilongaShims
import Copas
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
/// In the dispatcher a few coroutines, the *workers*, serve it (``WorkerRoles``). One of them
/// reads; it runs the functions that are called itself, and when one of them waits for something,
/// another worker reads on. So a call that does not wait costs no coroutine. A coroutine that calls
/// sleeps until the reader has its answer.
///
/// Outside the dispatcher a call reads by itself until its answer is there, and serves what arrives
/// meanwhile.
final class RPCPeer {
  let library: RPCLibrary
  let loop: CopasLoop
  let configuration: RPCConfiguration
  let stream: StreamConnection
  let id: Int
  /// The other side's address, numbers; nil until there is a connection.
  private(set) var remoteAddress: SocketAddress?
  /// The same, for messages.
  private(set) var address = "unknown peer"
  /// What the other side may do.
  private(set) var allowed: RPCConfiguration.Allowed = []
  private(set) var functions = LuaGraphSink.FunctionPolicy(acceptsText: false)
  /// The LuaSocket object; empty once the connection has ended.
  private var socketValue: LuaStored
  /// What has to happen before the first message; nil when it has.
  var opening: ConnectionOpening?
  /// The coroutine that waits for that.
  var opener: TaskID?
  /// The userdata that holds this object, from its opening until the connection ends.
  var userdata = LuaStored()
  /// The descriptor whose hang-up is told (RPCPeer+Leaving); -1 for none.
  var observedDescriptor: Int32 = -1
  private var observerNumber: Int32 = 0

  var session: LuaRPCSession<Caller>
  var reception = Reception()
  /// What is going to be sent.
  var output = OutputBuffer()
  var isFlushDue = false
  /// Something was sent since the last read.
  var hasSent = false

  var numbers = CallNumbers()
  /// Answers to calls that read by themselves, but that another one has read; nil when the
  /// connection has ended.
  var arrived: [Int: [UInt8]?] = [:]
  var lastCallID = 0
  /// How many results the call that ran last has on the stack; nil when it goes on.
  var finished: Int?

  var roles = WorkerRoles()
  var suspended = SuspendedCalls()
  /// The call whose function the reader runs.
  var current = CurrentCall()

  var holder: BufferHolder?
  /// The keeper knows of something that is held, or has to be told.
  var isHolding = false

  /// nil while there are none.
  var localObjects: LocalObjects?
  var remoteObjects: RemoteObjects?
  var scripts: Scripts?

  /// Who waits for an answer.
  struct Caller {
    /// A coroutine that sleeps; nil for a call that reads by itself.
    let task: TaskID?
    let state: OpaquePointer
    let id: Int
  }

  /// What is known of the bytes that come in.
  struct Reception {
    /// A message is being read: Lua may run a finalizer, which must not read the next one.
    var isReading = false
    /// Where the received bytes end, while one of their messages is being read.
    var end: UnsafeRawPointer?
    /// There were functions among the values of the call that was read last.
    var hasFunctions = false
    /// The other side sends messages in two writes and has to be told at once what has come.
    var isSplit = false
    /// Bytes that had been received when the reader began to wait.
    var lastCount = 0
    /// The log has a line about an answer that answers nothing.
    var hasToldOfUnknownAnswer = false
  }

  /// The call that the reader took last.
  struct CurrentCall {
    var sequence: UInt8 = 0
    /// Its size.
    var bytes = 0
    /// Calls that were served while answers waited to be sent.
    var callsSinceFlush = 0
    /// When these left last.
    var lastFlush: Int64 = 0
  }

  /// - Parameter destination: where a client connects to; nil when the connection is there.
  init(
    _ library: RPCLibrary, _ configuration: RPCConfiguration, _ stream: StreamConnection,
    socketValue: consuming LuaStored, destination: (host: String, port: Int)? = nil
  ) {
    self.library = library
    self.configuration = configuration
    self.stream = stream
    self.socketValue = socketValue
    loop = library.loop
    id = library.nextID()
    session = LuaRPCSession(maxBytes: configuration.limits.frameBytes)
    observerNumber = loop.addObserver(self)
    if destination == nil { noteAddress() }
    let deadline =
      destination == nil
      ? MonotonicTime.never
      : MonotonicTime.deadline(after: configuration.timeout, from: MonotonicTime.now())
    opening = ConnectionOpening(openingSettings(destination), until: deadline)
  }

  deinit { forgetHolder() }

  /// There is a connection: who the other side is decides what it may do. Nothing, if all globals
  /// are offered, it is another machine, and the program did not say that this is meant.
  func noteAddress() {
    remoteAddress = stream.remoteAddress
    if let remoteAddress { address = remoteAddress.description }
    let isHere = remoteAddress.map { $0.family == AF_UNIX || isLoopback($0.numericHost) } ?? false
    guard isHere || !configuration.exposesGlobals || configuration.isTrusting else { return }
    allowed = configuration.allowed
    functions = configuration.functions
  }

  /// Afterwards the socket, which may be collected then, is not looked at any more.
  var isOpen: Bool { !socketValue.isEmpty && stream.isOpen }

  /// Pushes the userdata; false, with nothing pushed, when the connection has ended.
  func pushUserdata(_ call: LuaCall) -> Bool {
    guard !userdata.isEmpty else { return false }
    userdata.push(onto: call)
    return true
  }

  /// Pushes the LuaSocket object, or that of LuaSec which is in its place.
  func pushSocket(onto call: LuaCall) {
    if stream.isSecure {
      stream.pushSecureConnection(onto: call)
    } else {
      socketValue.push(onto: call)
    }
  }

  /// From now on ``ended(_:)`` is told of the running coroutine.
  func observe() { loop.observeRemoval(by: observerNumber) }

  // MARK: The end

  /// Ends the connection: all coroutines that wait for something are told.
  func close() {
    guard !socketValue.isEmpty else { return }
    flushBeforeClosing()
    stream.close()
    output.release()
    for caller in session.calls.failAll() { tellEnd(caller) }
    for task in numbers.end() { loop.wake(task) }
    for task in roles.takeAllIdle() { loop.wake(task) }
    if let reader = roles.sleepingReader { loop.wake(reader) }
    leaveFunctions()
    release()
    if isHolding { tellHolding() }
  }

  /// What was answered before the end should arrive, if it can at once.
  private func flushBeforeClosing() {
    if isOpen, !output.isEmpty { _ = flushOutput() }
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
    guard !socketValue.isEmpty else { return }
    stream.close()
    loop.removeObserver(observerNumber)
    stopObservingHangup()
    socketValue = LuaStored()
    userdata = LuaStored()
    (localObjects, remoteObjects, scripts) = (nil, nil, nil)
  }

  /// The connection is lost, or the stream cannot be trusted any more: says why, once, and closes.
  func disconnect(_ reason: String) {
    guard !socketValue.isEmpty else { return }
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
    if numbers.removed(task) { grantNumbers() }
    let isEssential = roles.removed(task)
    let ended = suspended.remove(task)
    if ended.wasLarge { tellHolding() }
    if let sequence = ended.sequence {
      respond(loop.main, sequence, error: "rpc: the thread that served the call was removed")
      flushSoon()
    }
    if isEssential || task == opener { close() }
  }
}
