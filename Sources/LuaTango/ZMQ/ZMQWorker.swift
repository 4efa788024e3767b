import Copas
import Lua
import LuaConnection
import RPC
import Scheduler
import SystemPackage

/// Takes requests and carries them out, one after the other; only one, when that has to wait.
final class ZMQWorker: EventHandler, TurnEndObserver {
  private let server: ZMQServer
  /// The one that is carried out; nil while there is none.
  private var request: ZMQRequest?
  private var output: MessageOutput
  /// Who is being asked about.
  private var client: ZMQServer.Client?

  // MARK: What the request makes the server hold

  /// It was parked before.
  private let isAdmitted: Bool
  /// Its bytes, when it is large and counts.
  private var servingBytes = 0
  /// What the function was for whose results wait.
  private var answeringStep: Responder.Step?

  /// - Parameter request: one that was parked; nil for the next one that comes.
  init(_ server: ZMQServer, _ request: ZMQRequest? = nil) {
    self.server = server
    self.request = request
    isAdmitted = request != nil
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
    let step = answeringStep ?? Responder.Step(rawValue: call.step)
    let phase = answeringStep == nil ? call.phase : .returned
    let outcome: LuaOutcome?
    switch (phase, step) {
    case (.returned, .authorize?) where call.boolean(at: -2):
      endAsking(isAuthorized: true)
      call.count = Responder.Slot.namespace
      outcome = handle(call)
    case (.returned, .authorize?), (.failed, .authorize?):
      endAsking(isAuthorized: false)
      let reason = call.stringIfString(at: -1)
      server.configuration.log.warn(
        request?.origin.peer ?? "", "not authorized" + (reason.map { ": \($0)" } ?? ""))
      output.collect(
        error: "tango server error: not authorized", server.configuration.codec.writes)
      outcome = nil
    case (.returned, let step?) where waitsToAnswer(step):
      outcome = server.loop.sleep(until: .max)
    case (.returned, let step?): outcome = server.responder.returned(call, step, &output)
    case (.failed, let step?): outcome = server.responder.failed(call, step, &output)
    default: outcome = nil
    }
    if let outcome { return prepared(outcome) }
    return try finish(call)
  }

  /// Puts what a request needs on the stack, where the last one mostly has left it.
  private func prepare(_ call: LuaCall) {
    let namespace = Responder.Slot.namespace
    if call.count == namespace,
      call.identity(at: namespace) == server.configuration.namespaceIdentity
    {
      return
    }
    call.count = 0
    call.count = Responder.Slot.session
    call.pushRetained(server.configuration.namespace)
  }

  // MARK: Receiving

  /// Takes requests until one has to call a Lua function, or nothing more is there.
  private func receive(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    while server.socket.isOpen {
      if server.running >= mostRunning {
        server.isFull = true
        break
      }
      call.count = Responder.Slot.namespace
      if let outcome = server.loop.turnOver() {
        state = .atRest
        return outcome
      }
      if let first = server.socket.receive() {
        guard let request = server.take(first) else { continue }
        self.request = request
        server.running += 1
        if let outcome = begin(call) { return outcome }
        answer()
        requestEnded()
      } else if !server.socket.events.contains(.input) {
        do throws(Errno) {
          state = .atRest
          return try server.waitForRequests()
        } catch {
          throw call.failure(
            "tango: the socket of \(server.configuration.url) cannot be watched: \(error)")
        }
      }
    }
    return end()
  }

  private func end() -> LuaOutcome {
    if isReceiver { server.receiver = nil }
    state = .finished
    return .results(0)
  }

  /// The function that was called waits for something, or somebody else is being asked whether the client may call.
  func turnEnded() {
    if request != nil { server.replace(self) }
  }

  private func prepared(_ outcome: LuaOutcome) -> LuaOutcome {
    if isReceiver { server.loop.turnEndObserver = self }
    return outcome
  }

  // MARK: The request

  /// An outcome when a Lua function is to be called, or somebody has to be waited for.
  private func begin(_ call: LuaCall) -> LuaOutcome? {
    guard !isHeld() else { return nil }
    return (authorize(call) ?? handle(call)).map(prepared)
  }

  private func handle(_ call: LuaCall) -> LuaOutcome? {
    guard let body = request?.body else { return nil }
    request?.body = nil
    return server.responder.handle(call, body.bytes, &output)
  }

  /// Asks the program about a client that is new.
  private func authorize(_ call: LuaCall) -> LuaOutcome? {
    guard let authorize = server.configuration.authorize, let task = server.loop.currentTask,
      let request
    else { return nil }
    let client = ZMQServer.Client(
      identity: request.identity, address: request.body?.peer ?? "")
    switch server.permission(client, task) {
    case .granted: return nil
    case .wait:
      state = .atRest
      return server.loop.sleep(until: .max)
    case .unknown: self.client = client
    }
    call.pushRetained(authorize)
    call.pushTable(fields: 1)
    call.push(client.address)
    call.setField("address", of: -2)
    return .protectedCall(arguments: 1, results: 2, state: Responder.Step.authorize.rawValue)
  }

  private func endAsking(isAuthorized: Bool) {
    guard let client else { return }
    self.client = nil
    server.asked(client, isAuthorized: isAuthorized)
  }

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
    if let request, servingBytes > 0 || isAdmitted {
      let client = server.client(request.identity)
      if servingBytes > 0 { client?.endServing(servingBytes) }
      if isAdmitted { client?.admittedEnded() }
    }
    servingBytes = 0
    request = nil
    server.requestEnded()
  }

  // MARK: What the request makes the server hold

  /// Whether it is not carried out, or not now: it is parked, dropped, or refused by an answer.
  private func isHeld() -> Bool {
    guard let request else { return false }
    let isLarge = request.size > BufferKeeper.largeMessage
    guard isLarge || !server.clients.isEmpty else { return false }
    var client = server.client(request.identity)
    if client == nil, isLarge { client = server.track(request) }
    guard let client else { return false }
    if client.isBarred { return true }
    if !isAdmitted, client.isStopped {
      client.park(request)
      return true
    }
    guard isLarge, servingBytes == 0 else { return false }
    servingBytes = request.size
    guard client.beginServing(request.size) else { return false }
    output.collect(
      error: "tango server error: too many bytes of calls wait (max_buffered_bytes)",
      server.configuration.codec.writes)
    return true
  }

  /// Whether the client has too much to read already for these results.
  private func waitsToAnswer(_ step: Responder.Step) -> Bool {
    answeringStep = nil
    guard !server.clients.isEmpty, let request, let client = server.client(request.identity),
      let task = server.loop.currentTask, client.waitToAnswer(task)
    else { return false }
    answeringStep = step
    return true
  }

  private func answer() {
    if server.responder.takeBroken() {
      output.collect(
        error: "tango server error: its answer could not be serialized",
        server.configuration.codec.writes)
    }
    guard !output.isEmpty, server.socket.isOpen else { return }
    // A client that is gone gets nothing.
    if let request {
      output.writer.buffer.withUnsafeBytes { _ = server.send($0, to: request) }
    }
    output.writer.buffer.removeFirst(output.count)
    output.spare.giveBack(&output.writer.buffer)
    if !isReceiver { server.sent() }
  }

  override func ended() {
    let wasReceiver = isReceiver
    if wasReceiver { server.receiver = nil }
    if request != nil {
      // Its coroutine was removed, and nobody else would tell the client.
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

/// Requests that are carried out at a time.
private let mostRunning = 1000
