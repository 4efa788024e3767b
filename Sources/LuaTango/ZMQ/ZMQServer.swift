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
/// Nobody tells when a client goes. So what clients hold by `tango.ref` is held by the server, up to its limit, until it is
/// released.
final class ZMQServer: EventHandler {
  fileprivate let configuration: ServerConfiguration
  fileprivate let loop: CopasLoop
  fileprivate let socket: ZMQSocket
  fileprivate let responder: Responder
  fileprivate let spare: SpareBuffer
  private var isWatched = false
  private(set) var state = EventHandlerState.atRest
  /// Requests that are being carried out.
  private var running = 0
  /// No more are taken until some are done.
  private var isFull = false
  private var isReceiving = false
  /// Who was asked about, by their identities.
  fileprivate var authorized: Set<[UInt8]> = []
  private var nextComplaint: Int64 = 0

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
    responder.releaseReferences()
  }

  // MARK: Receiving

  func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    call.count = 0
    while socket.isOpen {
      if running >= mostRunning {
        isFull = true
        break
      }
      if let first = socket.receive() {
        take(first)
        if let outcome = loop.turnOver() { return outcome }
      } else if !socket.hasInput {
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

  func ended() { isReceiving = false }

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
    running += 1
    loop.startEvents(ZMQRequest(self, envelope, body))
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
    if isReceiving, isWatched, socket.hasInput { loop.notify(socket.descriptor) }
  }

  fileprivate func requestEnded() {
    running -= 1
    if isFull {
      isFull = false
      start()
    }
  }
}

/// A request, while it is carried out.
private final class ZMQRequest: EventHandler {
  private let server: ZMQServer
  private let envelope: [[UInt8]]
  private var body: ZMQPart?
  private var output: MessageOutput
  private(set) var state = EventHandlerState.atRest

  init(_ server: ZMQServer, _ envelope: [[UInt8]], _ body: ZMQPart) {
    self.server = server
    self.envelope = envelope
    self.body = body
    output = MessageOutput(
      limits: server.configuration.limits, isFramed: false, spare: server.spare)
  }

  func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if case .atRest = state {
      state = .busy
      call.count = 0
      call.pushNil()
      call.pushNil()
      call.pushRetained(server.configuration.namespace)
      if let outcome = authorize(call) { return outcome }
      return begin(call)
    }
    let step = Responder.Step(rawValue: call.step)
    let outcome: LuaOutcome?
    switch (call.phase, step) {
    case (.returned, .authorize?) where call.boolean(at: -2):
      if server.authorized.count >= mostAuthorized { server.authorized = [] }
      server.authorized.insert(envelope[0])
      call.count = Responder.Slot.namespace
      return begin(call)
    case (.returned, .authorize?), (.failed, .authorize?):
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
    return outcome ?? finish(call)
  }

  private func begin(_ call: LuaCall) -> LuaOutcome {
    guard let body else { return finish(call) }
    self.body = nil
    return server.responder.handle(call, body.bytes, &output) ?? finish(call)
  }

  /// Asks the program about a client that is new.
  private func authorize(_ call: LuaCall) -> LuaOutcome? {
    guard let authorize = server.configuration.authorize, !server.authorized.contains(envelope[0])
    else { return nil }
    call.pushRetained(authorize)
    call.pushTable(fields: 1)
    call.push(body?.peer ?? "")
    call.setField("address", of: -2)
    return .protectedCall(arguments: 1, results: 2, state: Responder.Step.authorize.rawValue)
  }

  private func finish(_ call: LuaCall) -> LuaOutcome {
    state = .finished
    if !server.responder.takeBroken(), !output.isEmpty, server.socket.isOpen {
      // A client that is gone, or does not read, gets nothing.
      let isSent = envelope.allSatisfy { server.socket.send($0, more: true) == 0 }
      if isSent {
        output.writer.buffer.withUnsafeBytes { _ = server.socket.send($0, more: false) }
      }
      output.writer.buffer.removeFirst(output.count)
      output.spare.giveBack(&output.writer.buffer)
      server.sent()
    }
    return .results(0)
  }

  func ended() { server.requestEnded() }
}

/// Nanoseconds between looks at what the descriptor may not have told of.
private let lookInterval: Int64 = 100_000_000
/// Requests that are carried out at a time.
private let mostRunning = 1000
/// Parts in front of a request: the identities of a client and of the queues between, what it wants back, and an
/// empty one.
private let mostEnvelope = 10
/// Clients that are remembered.
private let mostAuthorized = 100_000
