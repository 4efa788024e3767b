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
/// places of the stack.
final class TangoSession {
  let configuration: ServerConfiguration
  let connection: TangoConnection
  let stream: StreamConnection
  let responder: Responder
  let loop: CopasLoop
  private let socket: UnsafeMutablePointer<SocketObject>
  let peer: String
  var stage = Stage.begin
  /// What is known of the client's end.
  var ending = Ending()
  private var callsSinceFlush = 0
  private var lastFlush: Int64 = 0
  private(set) var condition = Condition.busy

  /// What the last run has left.
  enum Condition {
    /// A function waits, or answers wait to be sent.
    case busy
    /// It waits for the client's next request, with nothing on the coroutine's stack.
    case atRest
    /// What was answered is sent, and then the connection is closed.
    case ending
    /// The client is gone.
    case finished
  }

  var isAtRest: Bool { condition == .atRest }
  var isFinished: Bool { condition == .finished }

  /// The first request is not allowed yet. The socket is needed on the stack.
  var isOpening: Bool {
    switch stage {
    case .serving, .observed: false
    case .begin, .opening: true
    }
  }

  enum Stage {
    case begin
    indirect case opening(ConnectionOpening)
    case serving
    /// Requests are served, and when a function waits, the client's end is looked for
    /// (TangoSession+Leaving).
    case observed
  }

  convenience init(_ configuration: ServerConfiguration, _ connection: TangoConnection) {
    self.init(
      configuration, connection, Responder(configuration, main: connection.loop.main),
      peer: connection.stream.remoteAddress.map(\.description) ?? "unknown peer")
  }

  init(
    _ configuration: ServerConfiguration, _ connection: TangoConnection, _ responder: Responder,
    peer: String
  ) {
    self.configuration = configuration
    self.connection = connection
    self.responder = responder
    self.peer = peer
    loop = connection.loop
    socket = connection.socket
    stream = connection.stream
    connection.peer = peer
    configuration.connections += 1
  }

  deinit {
    configuration.connections -= 1
    stopObserving()
  }

  /// Its function is being executed.
  var isRunning = false
  /// Its userdata is gone.
  var isReleased = false

  /// Releases what was kept for the client. The socket stays open.
  func detach() {
    releaseReferences()
    connection.detach()
  }

  private func releaseReferences() {
    if !ending.isHandedOver { responder.releaseReferences() }
  }

  /// The session does not use the socket any more, and closes it.
  func close() {
    releaseReferences()
    connection.close()
  }

  // MARK: The loop

  /// Goes on from where the last run ended.
  @inline(__always)
  func run(_ call: LuaCall) -> LuaOutcome {
    if case .serving = stage { return proceed(call) }
    let outcome = open(call)
    observeTurn()
    return outcome
  }

  @inline(__always)
  private func proceed(_ call: LuaCall) -> LuaOutcome {
    let outcome: LuaOutcome? =
      switch call.phase {
      case .entered, .resumed: nil
      case .returned:
        responder.returned(call, ServedRequest(rawValue: call.step)!, &connection.output)
      case .failed: responder.failed(call, ServedRequest(rawValue: call.step)!, &connection.output)
      }
    if let outcome { return prepared(outcome) }
    if responder.takeBroken() { disconnect("its answer could not be serialized") }
    return serve(call)
  }

  /// Handles requests until one has to call a Lua function, or nothing more is there.
  private func serve(_ call: LuaCall) -> LuaOutcome {
    if call.count != ServedRequest.namespace { call.count = ServedRequest.namespace }
    if condition == .atRest { condition = .busy }
    // No call is being carried out.
    if connection.isHolding { connection.serving = 0 }
    if configuration.idleTimeout != .infinity, call.phase == .resumed, loop.hasTimedOut {
      // The client does not even read the reason.
      if condition == .ending { return finish(call) }
      disconnect("nothing came for \(configuration.idleTimeout) seconds")
    }
    var hasReceived = false
    while true {
      if condition == .ending { return flush(call) ?? finish(call) }
      switch connection.nextFrame {
      case .frame(let headerBytes, let bodyBytes):
        if let outcome = loop.turnOver() { return giveWay(outcome) }
        // While a client does not read its answers, its next request waits.
        if connection.output.count > mostUnsent, let outcome = flush(call) { return outcome }
        if bodyBytes > BufferKeeper.largeMessage { connection.beginServing(bodyBytes) }
        let body = connection.body(headerBytes, bodyBytes)
        let outcome = responder.handle(call, body, &connection.output)
        connection.consume(headerBytes + bodyBytes)
        if let outcome { return prepared(outcome) }
        connection.serving = 0
        call.count = ServedRequest.namespace
      case .invalid(let error):
        disconnect(error.description)
      case .incomplete(let needed):
        if let outcome = flush(call) { return outcome }
        if condition == .ending { continue }
        let mayRead = stream.mayRead
        if !mayRead, socket.pointee.buffer.isEmpty {
          condition = .atRest
          return wait(call, for: .read)
        }
        // Reads count as operations, as requests do.
        if hasReceived, let outcome = loop.turnOver() { return outcome }
        hasReceived = true
        if needed > BufferKeeper.largeMessage, let outcome = waitForRoom(call) { return outcome }
        switch connection.receive(needed: needed, mayRead: mayRead) {
        case .done: continue
        case .wait(let direction):
          condition = .atRest
          return wait(call, for: direction)
        case .failed(let reason):
          if !socket.pointee.buffer.isEmpty {
            configuration.log.disconnected(peer, "\(reason) in the middle of a message")
          }
          return finish(call)
        }
      }
    }
  }

  /// Sends what was collected. An outcome when that has to wait; nil also when the connection has
  /// failed.
  private func flush(_ call: LuaCall) -> LuaOutcome? {
    callsSinceFlush = 0
    switch connection.flush() {
    case .done: return nil
    case .wait(let direction): return wait(call, for: direction)
    case .failed:
      // What was received before the client left is handled all the same.
      if !ending.hasLeft { condition = .ending }
      connection.output.release()
      return nil
    }
  }

  /// Other coroutines have their turns before the next request is taken. The answers so far leave
  /// first.
  private func giveWay(_ outcome: LuaOutcome) -> LuaOutcome {
    condition = .atRest
    loop.turnEndObserver = loop.leavesOthersWaiting ? connection : nil
    return outcome
  }

  private func wait(_ call: LuaCall, for direction: Direction) -> LuaOutcome {
    if connection.isHolding || !socket.pointee.buffer.isEmpty || !connection.output.isEmpty {
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
    do throws(Errno) {
      guard let outcome = try connection.waitForRoom() else { return nil }
      condition = .atRest
      return outcome
    } catch {
      configuration.log.disconnected(peer, "its socket cannot be watched: \(error)")
      return finish(call)
    }
  }

  private func finish(_ call: LuaCall) -> LuaOutcome {
    condition = .finished
    close()
    return .results(0)
  }

  /// The stream cannot be trusted any more: says why, and closes.
  private func disconnect(_ reason: String) {
    configuration.log.disconnected(peer, reason)
    connection.output.collect(
      error: "tango server error: \(reason)", configuration.codec.writes)
    condition = .ending
  }

  /// The answers to earlier requests must not wait for a function that takes its time: they leave
  /// when it waits for something, and every now and then while functions only compute.
  @inline(__always)
  private func prepared(_ outcome: LuaOutcome) -> LuaOutcome {
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
    case .serving, .observed: return proceed(call)
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
      observeEnd()
      return outcome
    case .open:
      if ending.task == nil { observeEnd() }
      beginServing()
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
    beginServing()
    disconnect(reason)
    return serve(call)
  }
}

/// Bytes of answers that may wait for a client to read them before its next request is taken.
private let mostUnsent = 64 * 1024
/// Nanoseconds that an answer may wait for those to the requests behind it.
private let longestDelay: Int64 = 300_000
