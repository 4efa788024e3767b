import Copas
import Lua
import LuaConnection
import RPC
import Scheduler

/// A request, while it is carried out.
final class ZMQRequest: EventHandler {
  private let server: ZMQServer
  let envelope: [[UInt8]]
  private var body: ZMQPart?
  /// Bytes of its body.
  private let size: Int
  /// The part that its client's identity is in.
  let origin: ZMQPart
  private var output: MessageOutput
  /// Who is being asked about.
  private var client: ZMQServer.Client?

  // MARK: What it makes the server hold

  /// It was parked before.
  var isAdmitted = false
  private var isParked = false
  /// Its bytes, when it is large and counts.
  private var servingBytes = 0
  /// What the function was for whose results wait.
  private var answeringStep: Responder.Step?

  init(
    _ server: ZMQServer, _ envelope: [[UInt8]], _ body: ZMQPart, size: Int, _ origin: ZMQPart
  ) {
    self.server = server
    self.envelope = envelope
    self.body = body
    self.size = size
    self.origin = origin
    output = MessageOutput(
      limits: server.configuration.limits, isFramed: false, spare: server.spare)
  }

  var identity: [UInt8] { envelope[0] }

  /// Bytes that it takes while it is parked.
  var cost: Int { size + 512 }

  override func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if case .atRest = state {
      state = .busy
      call.count = 0
      if let outcome = hold(call) { return outcome }
      call.pushNil()
      call.pushNil()
      call.pushRetained(server.configuration.namespace)
      if let outcome = authorize(call) { return outcome }
      return begin(call)
    }
    let step = answeringStep ?? Responder.Step(rawValue: call.step)
    let phase = answeringStep == nil ? call.phase : .returned
    let outcome: LuaOutcome?
    switch (phase, step) {
    case (.returned, .authorize?) where call.boolean(at: -2):
      endAsking(isAuthorized: true)
      call.count = Responder.Slot.namespace
      return begin(call)
    case (.returned, .authorize?), (.failed, .authorize?):
      endAsking(isAuthorized: false)
      let reason = call.stringIfString(at: -1)
      server.configuration.log.warn(
        body?.peer ?? "", "not authorized" + (reason.map { ": \($0)" } ?? ""))
      output.collect(
        error: "tango server error: not authorized", server.configuration.codec.writes)
      outcome = nil
    case (.returned, let step?) where waitsToAnswer(step): return server.loop.sleep(until: .max)
    case (.returned, let step?): outcome = server.responder.returned(call, step, &output)
    case (.failed, let step?): outcome = server.responder.failed(call, step, &output)
    default: outcome = nil
    }
    return outcome ?? finish(call)
  }

  /// Looks whether the client has read enough for the call to begin. An outcome when it does not begin now.
  private func hold(_ call: LuaCall) -> LuaOutcome? {
    let isLarge = size > BufferKeeper.largeMessage
    guard isLarge || !server.clients.isEmpty else { return nil }
    var client = server.client(identity)
    if client == nil, isLarge { client = server.track(self) }
    guard let client else { return nil }
    if client.isBarred || !isAdmitted && client.isStopped {
      state = .finished
      isParked = !client.isBarred
      if isParked { client.park(self) }
      return .results(0)
    }
    guard isLarge, servingBytes == 0 else { return nil }
    servingBytes = size
    guard client.beginServing(size) else { return nil }
    body = nil
    output.collect(
      error: "tango server error: too many bytes of calls wait (max_buffered_bytes)",
      server.configuration.codec.writes)
    return finish(call)
  }

  /// Whether the client has too much to read already for these results.
  private func waitsToAnswer(_ step: Responder.Step) -> Bool {
    answeringStep = nil
    guard !server.clients.isEmpty, let client = server.client(identity),
      let task = server.loop.currentTask, client.waitToAnswer(task)
    else { return false }
    answeringStep = step
    return true
  }

  private func begin(_ call: LuaCall) -> LuaOutcome {
    guard let body else { return finish(call) }
    self.body = nil
    return server.responder.handle(call, body.bytes, &output) ?? finish(call)
  }

  /// Asks the program about a client that is new.
  private func authorize(_ call: LuaCall) -> LuaOutcome? {
    guard let authorize = server.configuration.authorize, let task = server.loop.currentTask
    else { return nil }
    let client = ZMQServer.Client(identity: envelope[0], address: body?.peer ?? "")
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

  private func finish(_ call: LuaCall) -> LuaOutcome {
    if server.responder.takeBroken() {
      output.collect(
        error: "tango server error: its answer could not be serialized",
        server.configuration.codec.writes)
    }
    answer()
    return .results(0)
  }

  private func answer() {
    state = .finished
    if !output.isEmpty, server.socket.isOpen {
      // A client that is gone gets nothing.
      output.writer.buffer.withUnsafeBytes { _ = server.send($0, to: self) }
      output.writer.buffer.removeFirst(output.count)
      output.spare.giveBack(&output.writer.buffer)
      server.sent()
    }
  }

  override func ended() {
    if isParked {
      isParked = false
      return server.requestEnded()
    }
    if state != .finished {
      // Its coroutine was removed, and nobody else would tell the client.
      output.collect(
        error: "tango server error: the call was ended", server.configuration.codec.writes)
      answer()
    }
    endAsking(isAuthorized: false)
    if servingBytes > 0 { server.client(identity)?.endServing(servingBytes) }
    if isAdmitted { server.client(identity)?.admittedEnded() }
    server.requestEnded()
  }
}
