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
/// What clients do not read is counted: see ``ZMQPeer``. Nobody tells when a client goes. So what clients hold by `tango.ref` is held by the server, up to its limit, until it is
/// released.
final class ZMQServer {
  let configuration: ServerConfiguration
  let loop: CopasLoop
  let socket: ZMQSocket
  let responder: Responder
  let spare: SpareBuffer
  var isWatched = false
  /// Who takes the next request; nil before the start, after the end, and while too many are being carried out.
  var receiver: ZMQWorker?
  /// Requests that are being carried out.
  var running = 0
  /// No more are taken until some are done.
  var isFull = false
  /// Who was asked about, and may call.
  private var authorized: Set<Client> = []
  /// Who is being asked about, and the requests that wait for that.
  private var asking: [Client: [TaskID]] = [:]
  private var nextComplaint: Int64 = 0
  /// Answers that libzmq has for clients that are not among ``clients``.
  let answers: ZMQCounter
  /// Those that make the server hold something, by their identities.
  var clients: [[UInt8]: ZMQPeer] = [:]
  var isWatchingWaker = false
  /// By which it is drawn which small answers count.
  var lot = UInt64.random(in: 0...(.max))

  /// Clients may choose their identities; so one that has chosen that of another has to be at the same place, too.
  struct Client: Hashable {
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
    clients = [:]
    if isWatchingWaker { loop.notify(answers.waker) }
    responder.releaseReferences()
  }

  // MARK: Authorization

  enum Permission {
    case granted
    /// Somebody else asks; the task will be woken.
    case wait
    /// To be asked for; the end of that has to be told.
    case unknown
  }

  func permission(_ client: Client, _ task: TaskID) -> Permission {
    if authorized.contains(client) { return .granted }
    guard asking[client] == nil else {
      asking[client]!.append(task)
      return .wait
    }
    asking[client] = []
    return .unknown
  }

  func asked(_ client: Client, isAuthorized: Bool) {
    if isAuthorized {
      if authorized.count >= mostAuthorized { authorized = [] }
      authorized.insert(client)
    }
    for task in asking.removeValue(forKey: client) ?? [] { loop.wake(task) }
  }

  // MARK: Requests

  /// Takes a message whose first part this is: the client's identity, what the client wants back, an empty part,
  /// the request. Nil when it is none.
  func take(_ first: ZMQPart) -> ZMQRequest? {
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
    return ZMQRequest(envelope: envelope, body: body, size: body.bytes.count, origin: first)
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
  func waitForRequests() throws(Errno) -> LuaOutcome {
    try loop.wait(
      on: socket.descriptor, isWatched: &isWatched, for: .read,
      until: MonotonicTime.now() + lookInterval)
  }

  /// Sending takes notice of what has come meanwhile, of which the descriptor does not tell any more.
  func sent() {
    if receiver != nil, isWatched, socket.events.contains(.input) {
      loop.notify(socket.descriptor)
    }
  }

  func requestEnded() {
    running -= 1
    // What was carried out when the server stopped may have given references.
    if running == 0, !socket.isOpen { responder.releaseReferences() }
    if isFull {
      isFull = false
      start()
    }
  }

  /// Another worker takes the next request.
  func replace(_ worker: ZMQWorker) {
    guard receiver === worker else { return }
    receiver = nil
    start()
  }
}

/// Nanoseconds between looks without need: whoever sends or receives looks again before the next wait, so that the
/// descriptor has told of all that comes later.
private let lookInterval: Int64 = 1_000_000_000
/// Parts in front of a request: the identities of a client and of the queues between, what it wants back, and an
/// empty one.
private let mostEnvelope = 10
/// Clients that are remembered.
private let mostAuthorized = 100_000
