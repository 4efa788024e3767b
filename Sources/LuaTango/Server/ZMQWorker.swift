import Copas
import LuaConnection
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler
import SystemPackage

/// A request as it came.
struct ZMQRequest {
  /// What goes in front of the answer, with the client's identity first.
  let envelope: [[UInt8]]
  /// The part that the identity is in; it tells of the connection.
  let origin: ZMQPart
  /// Nil when it has been read.
  var body: ZMQPart?
  /// It was parked before (``ZMQPeer``).
  var isAdmitted = false
  /// Its bytes, if it is large: then they are counted.
  var servingBytes = 0

  init(envelope: [[UInt8]], origin: ZMQPart, body: ZMQPart) {
    self.envelope = envelope
    self.origin = origin
    self.body = body
  }

  var identity: [UInt8] { envelope[0] }

  /// Bytes that it takes while it is parked.
  var cost: Int { (body?.bytes.count ?? 0) + 512 }
}

/// Takes requests of a ZeroMQ server and carries them out, one after the other; only one, when that
/// has to wait.
final class ZMQWorker: CoroutinelessTask, TurnEndObserver {
  private let server: ZMQServer
  /// What is carried out.
  private var request: ZMQRequest?
  private var output: MessageOutput
  /// The client about which the program is being asked.
  private var client: ZMQServer.Client?
  /// The function has ended, but its results wait.
  private var answering: (phase: LuaCall.Phase, step: ServedRequest)?

  init(_ server: ZMQServer) {
    self.server = server
    output = MessageOutput(
      limits: server.configuration.limits, isFramed: false, spare: server.spare)
  }

  private var isReceiver: Bool { server.receiver === self }

  override func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if case .atRest = state {
      state = .busy
      prepare(call)
      if request == nil { return try receive(call) }
      if let outcome = begin(call) { return outcome }
      return try finish(call)
    }
    let step = answering?.step ?? ServedRequest(rawValue: call.step)
    let phase = answering?.phase ?? call.phase
    let outcome: LuaOutcome?
    switch (phase, step) {
    case (.returned, .authorize?) where call.boolean(at: -2):
      endAsking(isAuthorized: true)
      call.count = ServedRequest.namespace
      outcome = handle(call)
    case (.returned, .authorize?), (.failed, .authorize?):
      endAsking(isAuthorized: false)
      let reason = call.stringIfString(at: -1)
      server.configuration.log.warn(
        request?.origin.peer ?? "", "not authorized" + (reason.map { ": \($0)" } ?? ""))
      output.collect(
        error: "tango server error: not authorized", server.configuration.codec.writes)
      outcome = nil
    case (.returned, let step?), (.failed, let step?):
      if waitsToAnswer(phase, step) {
        outcome = server.loop.sleep(until: .max)
      } else if case .returned = phase {
        outcome = server.responder.returned(call, step, &output)
      } else {
        outcome = server.responder.failed(call, step, &output)
      }
    default: outcome = nil
    }
    if let outcome { return prepared(outcome) }
    return try finish(call)
  }

  /// Puts what a request needs on the stack. Mostly the last request has left it there.
  private func prepare(_ call: LuaCall) {
    let namespace = ServedRequest.namespace
    if call.count == namespace,
      call.identity(at: namespace) == server.configuration.namespaceIdentity
    {
      return
    }
    call.count = 0
    call.count = ServedRequest.session
    call.pushRetained(server.configuration.namespace)
  }

  // MARK: Receiving

  /// Takes requests until one has to call a Lua function, or nothing more is there.
  private func receive(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    loop: while server.socket.isOpen {
      call.count = ServedRequest.namespace
      if let outcome = server.loop.turnOver() {
        state = .atRest
        return outcome
      }
      switch server.takeNext() {
      case .request(let next):
        request = next
        if let outcome = begin(call) { return outcome }
        answer()
        requestEnded()
      case .nothing: continue
      case .end:
        do throws(Errno) {
          state = .atRest
          return try server.waitForRequests()
        } catch {
          throw call.failure(
            "tango: the socket of \(server.configuration.url) cannot be watched: \(error)")
        }
      case .full: break loop
      }
    }
    return end()
  }

  private func end() -> LuaOutcome {
    if isReceiver { server.receiver = nil }
    state = .finished
    return .results(0)
  }

  /// The function that was called waits for something, or the request waits for another request's
  /// `authorize`.
  func turnEnded() {
    if request != nil { server.replace(self) }
  }

  private func prepared(_ outcome: LuaOutcome) -> LuaOutcome {
    if isReceiver { server.loop.turnEndObserver = self }
    return outcome
  }

  // MARK: The request

  /// An outcome when a Lua function is to be called, or the request has to wait. Otherwise it is
  /// over.
  private func begin(_ call: LuaCall) -> LuaOutcome? {
    guard mayBegin() else { return nil }
    return (authorize(call) ?? handle(call)).map(prepared)
  }

  /// Whether its client has read enough, and holds little enough, for it to begin.
  private func mayBegin() -> Bool {
    guard let request, request.servingBytes == 0 else { return true }
    let bytes = request.body?.bytes.count ?? 0
    var client = server.client(request.identity)
    if client == nil, bytes > BufferKeeper.largeMessage { client = server.track(request) }
    guard let client else { return true }
    if client.isBarred { return false }
    if !request.isAdmitted, client.isStopped {
      client.park(request)
      return false
    }
    guard bytes > BufferKeeper.largeMessage else { return true }
    self.request?.servingBytes = bytes
    guard client.beginServing(bytes) else { return true }
    self.request?.body = nil
    output.collect(
      error: "tango server error: too many bytes of calls wait (max_buffered_bytes)",
      server.configuration.codec.writes)
    return false
  }

  private func handle(_ call: LuaCall) -> LuaOutcome? {
    guard let body = request?.body else { return nil }
    request?.body = nil
    return server.responder.handle(call, body.bytes, &output)
  }

  /// Whether the function's results have to wait, because the client has too much to read already.
  private func waitsToAnswer(_ phase: LuaCall.Phase, _ step: ServedRequest) -> Bool {
    answering = nil
    guard let request, let client = server.client(request.identity),
      let task = server.loop.currentTask, client.waitToAnswer(task)
    else { return false }
    answering = (phase, step)
    return true
  }

  /// Asks the program about a client that is new.
  private func authorize(_ call: LuaCall) -> LuaOutcome? {
    guard let authorization = server.configuration.opening.authorization,
      let task = server.loop.currentTask, let request
    else { return nil }
    // The part with the identity need not say where it comes from.
    let address = request.body?.peer ?? request.origin.peer
    let client = ZMQServer.Client(identity: request.identity, address: address)
    switch server.permission(client, task) {
    case .granted: return nil
    case .wait:
      state = .atRest
      return server.loop.sleep(until: .max)
    case .unknown: self.client = client
    }
    authorization.function.push(onto: call)
    call.pushTable(fields: 1)
    call.push(client.address)
    call.setField("address", of: -2)
    return .protectedCall(arguments: 1, results: 2, state: ServedRequest.authorize.rawValue)
  }

  private func endAsking(isAuthorized: Bool) {
    guard let client else { return }
    self.client = nil
    server.asked(client, isAuthorized: isAuthorized)
  }

  // MARK: Its end

  /// The request was carried out.
  private func finish(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    answer()
    requestEnded()
    // The function may have removed its thread, which is not to be the end of the server.
    if isReceiver, server.loop.isRemoved { server.replace(self) }
    if isReceiver { return try receive(call) }
    return end()
  }

  private func requestEnded() {
    guard let request else { return }
    self.request = nil
    if request.servingBytes > 0 {
      server.client(request.identity)?.endServing(request.servingBytes)
    }
    if request.isAdmitted { server.client(request.identity)?.admittedEnded() }
    server.requestEnded()
  }

  private func answer() {
    if server.responder.takeBroken() {
      output.collect(
        error: "tango server error: its answer could not be serialized",
        server.configuration.codec.writes)
    }
    guard !output.isEmpty, server.socket.isOpen, let request else { return }
    output.writer.buffer.withUnsafeBytes { server.send($0, to: request) }
    output.writer.buffer.removeFirst(output.count)
    output.spare.giveBack(&output.writer.buffer)
    // Sending takes notice of what has come meanwhile. The descriptor does not report that any
    // more.
    if !isReceiver, server.socket.events.contains(.input) { server.callReceiver() }
  }

  override func ended() {
    let wasReceiver = isReceiver
    if wasReceiver { server.receiver = nil }
    if request != nil {
      // Its coroutine was removed. The client gets an answer all the same.
      output.collect(
        error: "tango server error: the call was ended", server.configuration.codec.writes)
      answer()
      endAsking(isAuthorized: false)
      requestEnded()
    }
    // It was ended, as by `copas.cancelall`: other servers are closed then.
    if wasReceiver, state != .finished { server.stop() }
  }
}
