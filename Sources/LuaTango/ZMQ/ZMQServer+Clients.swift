import Copas
import IO
import Lua
import LuaConnection
import RPC
import SystemPackage

// Clients that make the server hold something: see ``ZMQPeer``.
extension ZMQServer {
  /// The client of a request, if it is one of those.
  @inline(__always)
  func client(_ identity: [UInt8]) -> ZMQPeer? {
    clients.isEmpty ? nil : clients[identity]
  }

  /// From now on the client is one of those.
  func track(_ request: ZMQRequest) -> ZMQPeer? {
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
    running += 1
    loop.startEvents(ZMQWorker(self, request))
  }

  /// Gives an answer to libzmq; whether that has taken it.
  ///
  /// To count one costs two blocks of memory, which another thread frees. So of small ones only one
  /// in some counts, for as many: a client that has many of them unread has its share of those.
  func send(_ answer: UnsafeRawBufferPointer, to request: ZMQRequest) -> Bool {
    var client = clients.isEmpty ? nil : clients[request.identity]
    var times: Int32 = 1
    if client == nil {
      if answer.count <= smallAnswer {
        guard isDrawn() else {
          return sendEnvelope(of: request) && socket.send(answer, more: false) == 0
        }
        times = smallAnswersPerCounted
      }
      if answer.count > BufferKeeper.largeMessage || answers.bytes > mostUntracked {
        client = track(request)
      }
    }
    if client?.isBarred == true { return false }
    // Before the envelope: a message that was begun has to be ended.
    guard let part = ZMQPart(answer, countedBy: client?.answers ?? answers, times: times) else {
      configuration.log.warn(request.origin.peer, "not enough memory for an answer")
      return false
    }
    let isSent = sendEnvelope(of: request) && socket.send(part) == 0
    if isSent { client?.sent(answer.count) } else { client?.left() }
    return isSent
  }

  private func sendEnvelope(of request: ZMQRequest) -> Bool {
    request.envelope.allSatisfy { socket.send($0, more: true) == 0 }
  }

  /// Whether a small answer is the one that counts: drawn by lot, so that no client can foresee it.
  private func isDrawn() -> Bool {
    lot = lot &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return lot >> 60 == 0
  }

  /// Looks after those that wait, when their clients have read.
  func watchWaker() {
    guard !isWatchingWaker else { return }
    isWatchingWaker = true
    loop.startEvents(ZMQWaker(self))
  }

  func wakerEnded() { isWatchingWaker = false }

  func someHaveRead() {
    answers.calmWaker()
    for client in Array(clients.values) { client.proceed() }
    forgetIdle()
  }
}

/// Waits until a client has read what was too much.
private final class ZMQWaker: EventHandler {
  private let server: ZMQServer
  private var isWatched = false

  init(_ server: ZMQServer) { self.server = server }

  override func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    call.count = 0
    server.someHaveRead()
    guard server.socket.isOpen, !server.clients.isEmpty else {
      state = .finished
      return .results(0)
    }
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

/// Bytes of answers that clients may have to read before it is looked which client's they are.
private let mostUntracked = 1 << 20
/// Bytes of an answer that is small.
private let smallAnswer = 1024
/// Of so many small ones one counts.
private let smallAnswersPerCounted: Int32 = 16
/// Nanoseconds between looks without need.
private let lookInterval: Int64 = 1_000_000_000
