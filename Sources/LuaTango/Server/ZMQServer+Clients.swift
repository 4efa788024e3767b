import Copas
import MilongaIO
import MilongaLua
import MilongaRPC
import SystemPackage

// The clients that make the server hold something: only they are known one by one.
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

  /// The server has stopped: what is kept for clients is dropped.
  func forgetAll() {
    admitted = []
    let all = clients
    clients = [:]
    for client in all.values { client.left() }
    if isWatchingWaker { loop.notify(answers.waker) }
  }

  /// Lets a request begin that was parked.
  func admit(_ request: ZMQRequest) {
    var request = request
    request.isAdmitted = true
    admitted.append(request)
    callReceiver()
  }

  /// Gives an answer to libzmq, which may have to keep it.
  ///
  /// To count one costs two blocks of memory, which another thread frees. So of small ones only one
  /// in some counts, for as many: a client that has many of them unread has its share of those.
  func send(_ answer: UnsafeRawBufferPointer, to request: ZMQRequest) {
    var client = clients.isEmpty ? nil : clients[request.identity]
    var times: Int32 = 1
    if client == nil {
      if answer.count <= smallAnswer {
        guard isDrawn() else {
          if sendEnvelope(of: request) { _ = socket.send(answer, more: false) }
          return
        }
        times = smallAnswersPerCounted
      }
      if answer.count > BufferKeeper.largeMessage || answers.bytes > mostUntracked {
        client = track(request)
      }
    }
    if client?.isBarred == true { return }
    // Before the envelope: a message that was begun has to be ended.
    guard let part = ZMQPart(answer, countedBy: client?.answers ?? answers, times: times) else {
      return configuration.log.warn(request.origin.peer, "not enough memory for an answer")
    }
    let isSent = sendEnvelope(of: request) && socket.send(part) == 0
    // A client that is gone gets nothing.
    if isSent { client?.sent(answer.count) } else { client?.left() }
  }

  private func sendEnvelope(of request: ZMQRequest) -> Bool {
    request.envelope.allSatisfy { socket.send($0, more: true) == 0 }
  }

  /// Whether a small answer is the one that counts: drawn by lot, so that no client can foresee it.
  private func isDrawn() -> Bool {
    lot = lot &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return lot >> 60 == 0
  }

  /// Lets calls that wait go on when their clients have read.
  func watchWaker() {
    guard !isWatchingWaker else { return }
    isWatchingWaker = true
    loop.startEvents(ZMQWaker(self))
  }

  fileprivate func someHaveRead() {
    answers.calmWaker()
    for client in Array(clients.values) { client.proceed() }
    forgetIdle()
  }
}

/// Waits until a client has read what was too much.
private final class ZMQWaker: CoroutinelessTask {
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
        until: MonotonicTime.now() + ZMQServer.lookInterval)
    } catch {
      throw call.failure("tango: what clients have read cannot be watched: \(error)")
    }
  }

  override func ended() {
    if isWatched { server.loop.forget(server.answers.waker) }
    server.isWatchingWaker = false
  }
}

/// Bytes of answers that clients may have to read before it is looked which client's they are.
private let mostUntracked = 1 << 20
/// Bytes of an answer that is small.
private let smallAnswer = 1024
/// Of so many small ones one counts.
private let smallAnswersPerCounted: Int32 = 16
