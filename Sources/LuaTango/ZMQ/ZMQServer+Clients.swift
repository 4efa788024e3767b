import Copas
import IO
import Lua
import RPC
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

  /// The server has stopped: nothing is kept for anybody.
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
  func send(_ answer: UnsafeRawBufferPointer, to request: ZMQRequest) {
    var client = client(request.identity)
    if client == nil,
      answer.count > BufferKeeper.largeMessage || answers.bytes > mostUntracked
    {
      client = track(request)
    }
    if client?.isBarred == true { return }
    let isSent =
      request.envelope.allSatisfy { socket.send($0, more: true) == 0 }
      && socket.send(answer, countedBy: client?.answers ?? answers) == 0
    // A client that is gone gets nothing.
    if isSent { client?.sent(answer.count) } else { client?.left() }
  }

  /// Looks after those that wait, when their clients have read.
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
