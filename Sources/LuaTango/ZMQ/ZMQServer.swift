import CShims
import Copas
import Glibc
import IO
import Lua
import LuaConnection
import LuaSocket
import RPC
import Scheduler
import SystemPackage

/// A tango server on a ZeroMQ socket, without coroutines of its own: one *worker* takes requests and carries them out, one
/// after the other, in a coroutine that it borrows. When a function waits for something, another worker goes on taking
/// requests.
///
/// Nobody tells when a client goes. So what clients hold by `tango.ref` is held by the server, up to its limit, until it is
/// released.
final class ZMQServer {
  fileprivate let configuration: ServerConfiguration
  fileprivate let loop: CopasLoop
  fileprivate let socket: ZMQSocket
  fileprivate let responder: Responder
  fileprivate let spare: SpareBuffer
  fileprivate var isWatched = false
  /// Who takes the next request; nil before the start, after the end, and while too many are being carried out.
  fileprivate var receiver: ZMQWorker?
  /// Requests that are being carried out.
  fileprivate var running = 0
  /// No more are taken until some are done.
  fileprivate var isFull = false
  /// Who was asked about, and may call.
  private var authorized: Set<Client> = []
  /// Who is being asked about, and the requests that wait for that.
  private var asking: [Client: [TaskID]] = [:]
  private var nextComplaint: Int64 = 0

  /// Clients may choose their identities; so one that has chosen that of another has to be at the same place, too.
  fileprivate struct Client: Hashable {
    let identity: [UInt8]
    let address: String
  }

  init(
    _ configuration: ServerConfiguration, _ socket: ZMQSocket, loop: CopasLoop, spare: SpareBuffer
  ) {
    self.configuration = configuration
    self.socket = socket
    self.loop = loop
    self.spare = spare
    responder = Responder(configuration, main: loop.main)
  }

  /// Where it listens, without wildcards; empty once it has stopped.
  var url: String { socket.isOpen ? socket.endpoint : "" }

  func start() {
    guard receiver == nil, socket.isOpen else { return }
    let worker = ZMQWorker(self)
    receiver = worker
    loop.startEvents(worker)
  }

  func stop() {
    guard socket.isOpen else { return }
    if isWatched { loop.forget(socket.descriptor) }
    isWatched = false
    socket.close()
    responder.releaseReferences()
  }

  // MARK: Authorization

  fileprivate enum Permission {
    case granted
    /// Somebody else asks; the task will be woken.
    case wait
    /// To be asked for; the end of that has to be told.
    case unknown
  }

  fileprivate func permission(_ client: Client, _ task: TaskID) -> Permission {
    if authorized.contains(client) { return .granted }
    guard asking[client] == nil else {
      asking[client]!.append(task)
      return .wait
    }
    asking[client] = []
    return .unknown
  }

  fileprivate func asked(_ client: Client, isAuthorized: Bool) {
    if isAuthorized {
      if authorized.count >= mostAuthorized { authorized = [] }
      authorized.insert(client)
    }
    for task in asking.removeValue(forKey: client) ?? [] { loop.wake(task) }
  }

  // MARK: Requests

  /// Takes a message whose first part this is: the client's identity, what the client wants back, an empty part,
  /// the request. Nil when it is none.
  fileprivate func take(_ first: ZMQPart) -> (envelope: [[UInt8]], body: ZMQPart)? {
    var envelope = [Array(first.bytes)]
    var part = first
    var isComplete = false
    var body: ZMQPart?
    while part.hasMore {
      guard let next = socket.receive() else { return nil }
      part = next
      if isComplete {
        // What comes behind a request makes it none.
        isComplete = body == nil
        body = next
        if !isComplete { envelope = [] }
      } else if !envelope.isEmpty, body == nil {
        isComplete = next.bytes.isEmpty
        let isAcceptable = envelope.count < mostEnvelope && next.bytes.count <= 255
        if isAcceptable { envelope.append(Array(next.bytes)) } else { envelope = [] }
      }
    }
    guard isComplete, let body, !envelope.isEmpty,
      body.bytes.count <= configuration.limits.frameBytes
    else {
      complain(first)
      return nil
    }
    return (envelope, body)
  }

  /// One line a second tells of messages that are none.
  private func complain(_ part: ZMQPart) {
    let now = MonotonicTime.now()
    guard now >= nextComplaint else { return }
    nextComplaint = now + 1_000_000_000
    configuration.log.warn(
      part.peer.isEmpty ? configuration.url : part.peer,
      "a message that is no request of tango was dropped")
  }

  /// Lets the receiver, which has found nothing, wait for requests.
  fileprivate func waitForRequests() throws(Errno) -> LuaOutcome {
    try loop.wait(
      on: socket.descriptor, isWatched: &isWatched, for: .read,
      until: MonotonicTime.now() + lookInterval)
  }

  /// Sending takes notice of what has come meanwhile, of which the descriptor does not tell any more.
  fileprivate func sent() {
    if receiver != nil, isWatched, socket.events.contains(.input) {
      loop.notify(socket.descriptor)
    }
  }

  fileprivate func requestEnded() {
    running -= 1
    // What was carried out when the server stopped may have given references.
    if running == 0, !socket.isOpen { responder.releaseReferences() }
    if isFull {
      isFull = false
      start()
    }
  }

  /// Another worker takes the next request.
  fileprivate func replace(_ worker: ZMQWorker) {
    guard receiver === worker else { return }
    receiver = nil
    start()
  }
}

/// Takes requests and carries them out, one after the other; only one, when that has to wait.
private final class ZMQWorker: EventHandler, TurnEndObserver {
  private let server: ZMQServer
  /// The request that is carried out; empty while there is none.
  private var envelope: [[UInt8]] = []
  /// Until it was read.
  private var body: ZMQPart?
  private var output: MessageOutput
  /// Who is being asked about.
  private var client: ZMQServer.Client?

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
      if body == nil { return try receive(call) }
      if let outcome = begin(call) { return outcome }
      return try finish(call)
    }
    let step = Responder.Step(rawValue: call.step)
    let outcome: LuaOutcome?
    switch (call.phase, step) {
    case (.returned, .authorize?) where call.boolean(at: -2):
      endAsking(isAuthorized: true)
      call.count = Responder.Slot.namespace
      outcome = handle(call)
    case (.returned, .authorize?), (.failed, .authorize?):
      endAsking(isAuthorized: false)
      let reason = call.stringIfString(at: -1)
      server.configuration.log.warn(
        body?.peer ?? "", "not authorized" + (reason.map { ": \($0)" } ?? ""))
      output.collect(
        error: "tango server error: not authorized", server.configuration.codec.writes)
      outcome = nil
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
        (envelope, body) = (request.envelope, request.body)
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
    if !envelope.isEmpty { server.replace(self) }
  }

  private func prepared(_ outcome: LuaOutcome) -> LuaOutcome {
    if isReceiver { server.loop.turnEndObserver = self }
    return outcome
  }

  // MARK: The request

  /// An outcome when a Lua function is to be called, or somebody has to be waited for.
  private func begin(_ call: LuaCall) -> LuaOutcome? {
    (authorize(call) ?? handle(call)).map(prepared)
  }

  private func handle(_ call: LuaCall) -> LuaOutcome? {
    guard let body else { return nil }
    self.body = nil
    return server.responder.handle(call, body.bytes, &output)
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
    envelope = []
    body = nil
    server.requestEnded()
  }

  private func answer() {
    if server.responder.takeBroken() {
      output.collect(
        error: "tango server error: its answer could not be serialized",
        server.configuration.codec.writes)
    }
    guard !output.isEmpty, server.socket.isOpen else { return }
    // A client that is gone, or does not read, gets nothing.
    let isSent = envelope.allSatisfy { server.socket.send($0, more: true) == 0 }
    if isSent {
      output.writer.buffer.withUnsafeBytes { _ = server.socket.send($0, more: false) }
    }
    output.writer.buffer.removeFirst(output.count)
    output.spare.giveBack(&output.writer.buffer)
    if !isReceiver { server.sent() }
  }

  override func ended() {
    let wasReceiver = isReceiver
    if wasReceiver { server.receiver = nil }
    if !envelope.isEmpty {
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

/// Nanoseconds between looks without need: whoever sends or receives looks again before the next wait, so that the
/// descriptor has told of all that comes later.
private let lookInterval: Int64 = 1_000_000_000
/// Requests that are carried out at a time.
private let mostRunning = 1000
/// Parts in front of a request: the identities of a client and of the queues between, what it wants back, and an
/// empty one.
private let mostEnvelope = 10
/// Clients that are remembered.
private let mostAuthorized = 100_000
