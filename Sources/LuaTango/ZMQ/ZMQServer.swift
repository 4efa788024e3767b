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

/// A tango server on a ZeroMQ socket, without coroutines of its own: one task receives, and each request is a task
/// that borrows a coroutine.
///
/// What clients do not read is counted: see ``ZMQPeer``. Nobody tells when a client goes. So what clients hold by `tango.ref` is held by the server, up to its limit, until it is
/// released.
final class ZMQServer: EventHandler {
  let configuration: ServerConfiguration
  let loop: CopasLoop
  fileprivate let socket: ZMQSocket
  fileprivate let responder: Responder
  fileprivate let spare: SpareBuffer
  private var isWatched = false
  /// Requests that are being carried out.
  private var running = 0
  /// No more are taken until some are done.
  private var isFull = false
  private var isReceiving = false
  /// Who was asked about, and may call.
  private var authorized: Set<Client> = []
  /// Who is being asked about, and the requests that wait for that.
  private var asking: [Client: [TaskID]] = [:]
  private var nextComplaint: Int64 = 0
  /// Answers that libzmq has for clients that are not among ``clients``.
  let answers: ZMQCounter
  /// Those that make the server hold something, by their identities.
  fileprivate private(set) var clients: [[UInt8]: ZMQPeer] = [:]
  private var isWatchingWaker = false

  /// Clients may choose their identities; so one that has chosen that of another has to be at the same place, too.
  fileprivate struct Client: Hashable {
    let identity: [UInt8]
    let address: String
  }

  init(
    _ configuration: ServerConfiguration, _ socket: ZMQSocket, _ answers: ZMQCounter,
    loop: CopasLoop, spare: SpareBuffer
  ) {
    self.configuration = configuration
    self.answers = answers
    self.socket = socket
    self.loop = loop
    self.spare = spare
    responder = Responder(configuration, main: loop.main)
  }

  /// Where it listens, without wildcards; empty once it has stopped.
  var url: String { socket.isOpen ? socket.endpoint : "" }

  func start() {
    guard !isReceiving, socket.isOpen else { return }
    isReceiving = true
    state = .atRest
    loop.startEvents(self)
  }

  func stop() {
    guard socket.isOpen else { return }
    if isWatched { loop.forget(socket.descriptor) }
    isWatched = false
    socket.close()
    clients = [:]
    if isWatchingWaker { loop.notify(answers.waker) }
    responder.releaseReferences()
  }

  // MARK: Receiving

  override func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    call.count = 0
    while socket.isOpen {
      if running >= mostRunning {
        isFull = true
        break
      }
      if let first = socket.receive() {
        take(first)
        if let outcome = loop.turnOver() { return outcome }
      } else if !socket.events.contains(.input) {
        do throws(Errno) {
          return try loop.wait(
            on: socket.descriptor, isWatched: &isWatched, for: .read,
            until: MonotonicTime.now() + lookInterval)
        } catch {
          throw call.failure(
            "tango: the socket of \(configuration.url) cannot be watched: \(error)")
        }
      }
    }
    state = .finished
    return .results(0)
  }

  override func ended() {
    isReceiving = false
    // It was ended, as by `copas.cancelall`: other servers are closed then.
    if state != .finished { stop() }
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
  /// the request.
  private func take(_ first: ZMQPart) {
    var envelope = [Array(first.bytes)]
    var part = first
    var isComplete = false
    var body: ZMQPart?
    while part.hasMore {
      guard let next = socket.receive() else { return }
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
    guard isComplete, let body, !envelope.isEmpty else { return complain(first) }
    guard body.bytes.count <= configuration.limits.frameBytes else { return complain(first) }
    start(ZMQRequest(self, envelope, body, first))
  }

  private func start(_ request: ZMQRequest) {
    running += 1
    request.state = .atRest
    loop.startEvents(request)
  }

  // MARK: Clients that make the server hold something

  /// The client of a request, if it is one of those.
  @inline(__always)
  fileprivate func client(_ identity: [UInt8]) -> ZMQPeer? {
    clients.isEmpty ? nil : clients[identity]
  }

  /// From now on the client is one of those.
  fileprivate func track(_ request: ZMQRequest) -> ZMQPeer? {
    if clients.count > 100 { forgetIdle() }
    guard let client = ZMQPeer(self, request) else { return nil }
    clients[client.identity] = client
    return client
  }

  func forget(_ client: ZMQPeer) {
    if clients[client.identity] === client { clients[client.identity] = nil }
  }

  private func forgetIdle() {
    for (identity, client) in clients where client.isIdle { clients[identity] = nil }
  }

  /// Lets a call begin that was parked.
  func admit(_ request: ZMQRequest) {
    request.isAdmitted = true
    start(request)
  }

  /// Gives an answer to libzmq; whether that has taken it.
  fileprivate func send(_ answer: UnsafeRawBufferPointer, to request: ZMQRequest) -> Bool {
    var client = client(request.identity)
    if client == nil,
      answer.count > BufferKeeper.largeMessage || answers.bytes > mostUntracked
    {
      client = track(request)
    }
    if client?.isBarred == true { return false }
    let isSent =
      request.envelope.allSatisfy { socket.send($0, more: true) == 0 }
      && socket.send(answer, countedBy: client?.answers ?? answers) == 0
    if isSent { client?.sent(answer.count) } else { client?.left() }
    return isSent
  }

  /// Looks after those that wait, when their clients have read.
  func watchWaker() {
    guard !isWatchingWaker else { return }
    isWatchingWaker = true
    loop.startEvents(ZMQWaker(self))
  }

  fileprivate func wakerEnded() { isWatchingWaker = false }

  fileprivate func someHaveRead() {
    answers.calmWaker()
    for client in Array(clients.values) { client.proceed() }
    forgetIdle()
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

  /// Sending takes notice of what has come meanwhile, of which the descriptor does not tell any more.
  fileprivate func sent() {
    if isReceiving, isWatched, socket.events.contains(.input) { loop.notify(socket.descriptor) }
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
}

/// Waits until a client has read what was too much.
private final class ZMQWaker: EventHandler {
  private let server: ZMQServer
  private var isWatched = false

  init(_ server: ZMQServer) { self.server = server }

  override func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    call.count = 0
    guard server.socket.isOpen else {
      state = .finished
      return .results(0)
    }
    server.someHaveRead()
    state = .atRest
    do throws(Errno) {
      return try server.loop.wait(
        on: server.answers.waker, isWatched: &isWatched, for: .read,
        until: MonotonicTime.now() + lookInterval)
    } catch {
      throw call.failure("tango: what clients have read cannot be watched: \(error)")
    }
  }

  override func ended() {
    if isWatched { server.loop.forget(server.answers.waker) }
    server.wakerEnded()
  }
}

/// A request, while it is carried out.
final class ZMQRequest: EventHandler {
  private let server: ZMQServer
  fileprivate let envelope: [[UInt8]]
  private var body: ZMQPart?
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

  init(_ server: ZMQServer, _ envelope: [[UInt8]], _ body: ZMQPart, _ origin: ZMQPart) {
    self.server = server
    self.envelope = envelope
    self.body = body
    self.origin = origin
    output = MessageOutput(
      limits: server.configuration.limits, isFramed: false, spare: server.spare)
  }

  var identity: [UInt8] { envelope[0] }

  /// Bytes that it takes while it is parked.
  var cost: Int { (body?.bytes.count ?? 0) + 512 }

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
    let bytes = body?.bytes.count ?? 0
    var client = server.client(identity)
    if client == nil, bytes > BufferKeeper.largeMessage { client = server.track(self) }
    guard let client else { return nil }
    if client.isBarred || !isAdmitted && client.isStopped {
      state = .finished
      isParked = !client.isBarred
      if isParked { client.park(self) }
      return .results(0)
    }
    guard bytes > BufferKeeper.largeMessage, servingBytes == 0 else { return nil }
    servingBytes = bytes
    guard client.beginServing(bytes) else { return nil }
    body = nil
    output.collect(
      error: "tango server error: too many bytes of calls wait (max_buffered_bytes)",
      server.configuration.codec.writes)
    return finish(call)
  }

  /// Whether the client has too much to read already for these results.
  private func waitsToAnswer(_ step: Responder.Step) -> Bool {
    answeringStep = nil
    guard let client = server.client(identity), let task = server.loop.currentTask,
      client.waitToAnswer(task)
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

/// Nanoseconds between looks without need: whoever sends or receives looks again before the next wait, so that the
/// descriptor has told of all that comes later.
private let lookInterval: Int64 = 1_000_000_000
/// Requests that are carried out at a time.
private let mostRunning = 1000
/// Parts in front of a request: the identities of a client and of the queues between, what it wants back, and an
/// empty one.
private let mostEnvelope = 10
/// Bytes of answers that clients may have to read before it is looked which client's they are.
private let mostUntracked = 1 << 20
/// Clients that are remembered.
private let mostAuthorized = 100_000
