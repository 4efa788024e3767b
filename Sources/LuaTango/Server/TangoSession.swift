import CMilongaLua
import CMilongaShims
import Copas
import LuaCodec
import LuaConnection
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler
import SystemPackage

/// One client of a tango server: takes its requests one after the other, and answers each.
///
/// Runs as a Lua function in a coroutine, because what the client calls may wait. The trampoline
/// runs it again after each wait and each call; what it needs then is in this object and at fixed
/// places of the stack. While a function waits, another coroutine takes the next requests
/// (TangoSession+SideBySide).
final class TangoSession {
  let configuration: ServerConfiguration
  let connection: TangoConnection
  let stream: StreamConnection
  let responder: Responder
  let loop: CopasLoop
  let socket: UnsafeMutablePointer<SocketObject>
  /// The socket in the registry. Who has the session's first task keeps it there.
  let socketReference: Int32
  let peer: String
  private(set) var stage = Stage.begin
  private var callsSinceFlush = 0
  private var lastFlush: Int64 = 0
  /// What the last run has left of its task.
  var left = CoroutinelessTaskState.busy
  var progress = Progress.serving
  /// What is known of the client's end.
  var ending = Ending()
  /// The tasks of the session, and the calls that wait.
  var roles = Roles()
  /// Answers behind calls that wait.
  var held = HeldAnswers()

  enum Progress {
    case serving
    /// What was answered is sent, and then the connection is closed.
    case ending
    /// The connection is closed.
    case over
  }

  enum Stage {
    case begin
    indirect case opening(ConnectionOpening)
    case serving
  }

  init(
    _ configuration: ServerConfiguration, _ connection: TangoConnection, socketReference: Int32
  ) {
    self.configuration = configuration
    self.connection = connection
    self.socketReference = socketReference
    responder = Responder(configuration, main: connection.loop.main)
    peer = connection.stream.remoteAddress.map(\.description) ?? "unknown peer"
    loop = connection.loop
    socket = connection.socket
    stream = connection.stream
    connection.peer = peer
    connection.session = self
    configuration.connections += 1
  }

  deinit {
    configuration.connections -= 1
    connection.session = nil
    stopObserving()
  }

  /// Its function is being executed.
  var isRunning = false
  /// Its userdata is gone.
  var isReleased = false

  /// The userdata of its first coroutine is gone. The socket stays open.
  func detach() {
    // Its other tasks look after the rest.
    guard roles.owner == nil, !postpone(.detach) else { return }
    responder.releaseReferences()
    connection.detach()
    endObserving()
  }

  /// The session does not use the socket any more, and closes it.
  func close() {
    guard progress != .over else { return }
    progress = .over
    connection.close()
    leaveCalls()
  }

  // MARK: The loop

  /// Puts what it needs on the stack of a coroutine that others use, too. Mostly a session of the
  /// same server has left it there.
  @inline(__always)
  func prepare(_ call: LuaCall) {
    let namespace = ServedRequest.namespace
    let isServing = if case .serving = stage { true } else { false }
    if isServing, call.count == namespace,
      call.identity(at: namespace) == configuration.namespaceIdentity
    {
      return
    }
    call.count = 0
    if !isServing { call.pushRetained(socketReference) }
    call.count = ServedRequest.session
    call.pushRetained(configuration.namespace)
  }

  /// Goes on from where the last run ended.
  @inline(__always)
  func run(_ call: LuaCall) -> LuaOutcome {
    guard case .serving = stage else { return open(call) }
    if roles.isShared, let outcome = runBeside(call) { return outcome }
    return proceed(call)
  }

  @inline(__always)
  private func proceed(_ call: LuaCall) -> LuaOutcome {
    let phase = call.phase
    if phase == .returned || phase == .failed {
      loop.observeWait(by: 0)
      if let outcome = answer({ responder.ended(call, &$0) }) { return prepared(outcome) }
      answered()
    }
    return serve(call)
  }

  /// Handles requests until one has to call a Lua function, or nothing more is there.
  private func serve(_ call: LuaCall) -> LuaOutcome {
    if call.count != ServedRequest.namespace { call.count = ServedRequest.namespace }
    left = .busy
    // No call is being carried out, but those that wait.
    if connection.isHolding { connection.serving = roles.serving }
    if configuration.idleTimeout != .infinity, call.phase == .resumed, loop.hasTimedOut {
      // The client does not even read the reason.
      if progress == .ending { return finish(call) }
      if roles.suspended.isEmpty {
        disconnect("nothing came for \(configuration.idleTimeout) seconds")
      }
    }
    var hasReceived = false
    while true {
      if progress != .serving { return end(call) }
      switch connection.nextFrame {
      case .frame(let headerBytes, let bodyBytes):
        if let outcome = loop.turnOver() { return giveWay(outcome) }
        if roles.isShared, isFull {
          if let outcome = waitForPlace(call) { return outcome }
          continue
        }
        // While a client does not read its answers, its next request waits.
        if connection.output.count > mostUnsent, let outcome = flush(call) { return outcome }
        if let outcome = handle(call, headerBytes, bodyBytes) { return prepared(outcome) }
        answered()
        connection.serving = roles.serving
        call.count = ServedRequest.namespace
      case .invalid(let error):
        disconnect(error.description)
      case .incomplete(let needed):
        if let outcome = flush(call) { return outcome }
        if progress != .serving { continue }
        if ending.isAtEnd { return endOfRequests(call) }
        let mayRead = stream.mayRead
        if !mayRead, socket.pointee.buffer.isEmpty {
          left = .atRest
          return wait(call, for: .read)
        }
        // Reads count as operations, as requests do.
        if hasReceived, let outcome = loop.turnOver() { return outcome }
        hasReceived = true
        if needed > BufferKeeper.largeMessage, let outcome = waitForRoom(call) { return outcome }
        switch connection.receive(needed: needed, mayRead: mayRead) {
        case .done: continue
        case .wait(let direction):
          left = .atRest
          return wait(call, for: direction)
        case .failed(let reason): return endOfRequests(call, reason)
        }
      }
    }
  }

  /// Carries out the request at the start of the receive buffer. An outcome when a function is to be
  /// called.
  @inline(__always)
  private func handle(_ call: LuaCall, _ headerBytes: Int, _ bodyBytes: Int) -> LuaOutcome? {
    if bodyBytes > BufferKeeper.largeMessage { connection.beginServing(bodyBytes) }
    let body = connection.body(headerBytes, bodyBytes)
    let outcome = answer { responder.handle(call, body, &$0) }
    connection.consume(headerBytes + bodyBytes)
    return outcome
  }

  /// Writes what is answered next, where it goes. Lua code may run meanwhile.
  @inline(__always)
  private func answer<Result>(_ write: (inout MessageOutput) -> Result) -> Result {
    connection.isBusy = true
    defer { connection.isBusy = false }
    return isHeld ? collectBehind(write) : write(&connection.output)
  }

  /// A request has its answer, if there can be one.
  @inline(__always)
  private func answered() {
    if responder.takeBroken() { disconnect(Self.brokenAnswer) }
    if connection.isEndDue { settle() }
  }

  /// Why a connection ends whose answer cannot be written.
  static let brokenAnswer = "its answer could not be serialized"

  /// Sends what was collected. An outcome when that has to wait; nil also when the connection has
  /// failed.
  func flush(_ call: LuaCall) -> LuaOutcome? {
    callsSinceFlush = 0
    switch connection.flush() {
    case .done: return nil
    case .wait(let direction):
      left = .atRest
      return wait(call, for: direction)
    case .failed:
      // What was received before the client left is handled all the same.
      if !ending.hasLeft, progress == .serving { progress = .ending }
      connection.output.release()
      dropHeld()
      return nil
    }
  }

  /// Other coroutines have their turns before the next request is taken. The answers so far leave
  /// first.
  private func giveWay(_ outcome: LuaOutcome) -> LuaOutcome {
    left = .atRest
    loop.turnEndObserver = loop.leavesOthersWaiting ? connection : nil
    return outcome
  }

  private func wait(_ call: LuaCall, for direction: Direction) -> LuaOutcome {
    if connection.isHolding || !socket.pointee.buffer.isEmpty || !connection.output.isEmpty
      || connection.held > 0
    {
      connection.tellHolding()
      // This connection may be the one that was closed to save memory.
      guard connection.isOpen else { return finish(call) }
    }
    var deadline = MonotonicTime.never
    if configuration.idleTimeout != .infinity {
      deadline = MonotonicTime.deadline(
        after: configuration.idleTimeout, from: MonotonicTime.now())
    }
    do throws(Errno) {
      return try stream.wait(for: direction, until: deadline)
    } catch {
      configuration.log.disconnected(peer, "its socket cannot be watched: \(error)")
      return finish(call)
    }
  }

  /// The rest of a large message is to be received. An outcome when all clients hold too much for
  /// that.
  private func waitForRoom(_ call: LuaCall) -> LuaOutcome? {
    // What a client sent before it left does not become more.
    guard !ending.isHungUp else { return nil }
    if stream.isSecure { observeHangup() }
    do throws(Errno) {
      guard let outcome = try connection.waitForRoom() else { return nil }
      left = .atRest
      roles.isReaderAsleep = connection.waitsForRoom
      return outcome
    } catch {
      configuration.log.disconnected(peer, "its socket cannot be watched: \(error)")
      return finish(call)
    }
  }

  /// What was answered is sent, behind the answers of calls that wait; then the connection is
  /// closed.
  private func end(_ call: LuaCall) -> LuaOutcome {
    guard progress == .ending else { return finish(call) }
    while true {
      if let outcome = flush(call) { return outcome }
      guard !held.isEmpty, connection.isOpen, !isAtEndOfClient(Self.mostReadAhead) else {
        return finish(call)
      }
      if let outcome = rest(call, while: !held.isEmpty) { return outcome }
    }
  }

  func finish(_ call: LuaCall) -> LuaOutcome {
    close()
    left = .finished
    return .results(0)
  }

  /// The stream cannot be trusted any more: says why, and closes.
  private func disconnect(_ reason: String) {
    guard progress == .serving else { return }
    configuration.log.disconnected(peer, reason)
    let text = "tango server error: \(reason)"
    _ = answer { $0.collect(error: text, configuration.codec.writes) }
    progress = .ending
  }

  /// The answers to earlier requests must not wait for a function that takes its time: they leave
  /// when it waits for something, and every now and then while functions only compute.
  @inline(__always)
  private func prepared(_ outcome: LuaOutcome) -> LuaOutcome {
    if connection.isEndDue {
      settle()
      // The function runs, and then the session finds that it is over.
      if progress == .over { return outcome }
    }
    loop.observeWait(by: roles.observer == 0 ? beginObserving() : roles.observer)
    if !connection.output.isEmpty || connection.isHolding || !socket.pointee.buffer.isEmpty {
      letAnswersLeave()
    }
    return outcome
  }

  private func letAnswersLeave() {
    loop.turnEndObserver = connection
    callsSinceFlush += 1
    guard callsSinceFlush & 15 == 0 else { return }
    let now = MonotonicTime.now()
    if now - lastFlush > longestDelay { connection.turnEnded() }
    lastFlush = now
  }

  // MARK: Before the first request

  private func open(_ call: LuaCall) -> LuaOutcome {
    switch stage {
    case .serving: return proceed(call)
    case .begin:
      guard configuration.connections <= configuration.maxConnections else {
        return refuse(call, "the server has \(configuration.maxConnections) connections already")
      }
      return open(call, ConnectionOpening(configuration.opening))
    case .opening(let opening): return open(call, opening)
    }
  }

  private func open(_ call: LuaCall, _ begun: ConnectionOpening) -> LuaOutcome {
    var opening = begun
    let progress: ConnectionOpening.Progress
    do throws(LuaFailure) {
      progress = try opening.proceed(
        call, stream, socketAt: ServedRequest.socket, suspends: true,
        state: ServedRequest.authorize.rawValue)
    } catch {
      // Only a wait of the whole program is interrupted.
      progress = .failed(.handshake("interrupted"))
    }
    switch progress {
    case .waits(let outcome):
      stage = .opening(opening)
      return outcome
    case .asks(let outcome):
      stage = .opening(opening)
      ending.asking = loop.currentTask
      observeHangup()
      if ending.isHungUp { hungUp() }
      return outcome
    case .open:
      ending.asking = nil
      stage = .serving
      return serve(call)
    case .failed(let failure): return failed(call, failure)
    }
  }

  private func failed(_ call: LuaCall, _ failure: ConnectionOpening.Failure) -> LuaOutcome {
    let reason: String
    switch failure {
    case .connect(let failure): reason = failure.text
    case .tls(let text): reason = "TLS failed: \(text)"
    case .handshakeTimedOut:
      reason = "no TLS handshake within \(configuration.opening.handshakeTimeout) seconds"
    case .handshake(let text): reason = "TLS handshake failed: \(text)"
    case .unwatchable(let error): reason = "its socket cannot be watched: \(error)"
    case .refused(let text): return refuse(call, "not authorized" + (text.map { ": \($0)" } ?? ""))
    case .authorizeFailed:
      let text = call.stringIfString(at: -1) ?? call.typeName(at: -1)
      configuration.log.warn(peer, "'authorize' failed: \(text)")
      return refuse(call, "not authorized")
    }
    configuration.log.disconnected(peer, reason)
    return finish(call)
  }

  private func refuse(_ call: LuaCall, _ reason: String) -> LuaOutcome {
    ending.asking = nil
    stage = .serving
    disconnect(reason)
    return serve(call)
  }
}

/// Bytes of answers that may wait for a client to read them before its next request is taken.
private let mostUnsent = 64 * 1024
/// Nanoseconds that an answer may wait for those to the requests behind it.
private let longestDelay: Int64 = 300_000
