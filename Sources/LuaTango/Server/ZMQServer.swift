import CMilongaShims
import Copas
import DequeModule
import Glibc
import LuaConnection
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler
import SystemPackage

/// A tango server on a ZeroMQ socket, without coroutines of its own: one *worker* takes requests
/// and carries them out, one after the other, in a coroutine that it borrows. When a function waits
/// for something, another worker goes on taking requests (``ZMQWorker``).
///
/// What clients do not read is counted (``ZMQPeer``). libzmq does not report when a client goes. So
/// objects that clients hold by `tango.ref` stay, up to the limit, until they are released.
final class ZMQServer {
  let configuration: ServerConfiguration
  let loop: CopasLoop
  let socket: ZMQSocket
  let responder: Responder
  let spare: SpareBuffer
  private var isWatched = false
  /// The worker that takes the next request; nil before the start, after the end, and while too
  /// many are being carried out.
  var receiver: ZMQWorker?
  /// Requests that are being carried out.
  private var running = 0
  /// No more are taken until some are done.
  private var isFull = false
  /// Clients that the program has allowed to call.
  private var authorized: Set<Client> = []
  /// Clients about which the program is being asked, and the requests that wait for that.
  private var asking: [Client: [TaskID]] = [:]
  private var nextComplaint: Int64 = 0

  // MARK: What clients make it hold (ZMQServer+Clients)

  /// Answers that libzmq has for clients that are not among ``clients``.
  let answers: ZMQCounter
  /// Those that make the server hold something, by their identities.
  var clients: [[UInt8]: ZMQPeer] = [:]
  /// Requests that were parked, and may begin.
  var admitted: Deque<ZMQRequest> = []
  /// The last request was one of those.
  private var hasTakenAdmitted = false
  var isWatchingWaker = false
  /// The state of the random numbers that choose which small answers count.
  var lot = UInt64.random(in: 0...(.max))

  /// A client chooses its identity, and may choose that of another client. So the address counts,
  /// too.
  struct Client: Hashable {
    let identity: [UInt8]
    let address: String
  }

  init(
    _ configuration: ServerConfiguration, _ socket: ZMQSocket, _ answers: ZMQCounter,
    loop: CopasLoop, spare: SpareBuffer
  ) {
    self.configuration = configuration
    self.socket = socket
    self.answers = answers
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
    forgetAll()
    responder.releaseReferences()
  }

  // MARK: Authorization

  enum Permission {
    case granted
    /// Another task asks the program; this task will be woken.
    case wait
    /// The task is to ask the program, and to report the answer with ``asked(_:isAuthorized:)``.
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

  /// What comes next.
  enum Next {
    case request(ZMQRequest)
    /// A message came that is not a request.
    case nothing
    /// Nothing more is there.
    case end
    /// So many are being carried out that no more are taken.
    case full
  }

  /// Takes a request, which is carried out from now on: in turns one that was parked and one that
  /// has just come.
  func takeNext() -> Next {
    guard running < mostRunning else {
      isFull = true
      return .full
    }
    if !admitted.isEmpty, !hasTakenAdmitted {
      hasTakenAdmitted = true
      running += 1
      return .request(admitted.removeFirst())
    }
    hasTakenAdmitted = false
    guard let first = socket.receive() else {
      return admitted.isEmpty && !socket.events.contains(.input) ? .end : .nothing
    }
    guard let request = take(first) else { return .nothing }
    running += 1
    return .request(request)
  }

  /// Takes a message whose first part this is: the client's identity, what the client wants back,
  /// an empty part, the request. Nil when it is none.
  private func take(_ first: ZMQPart) -> ZMQRequest? {
    var envelope = [Array(first.bytes)]
    var part = first
    var isComplete = false
    var body: ZMQPart?
    while part.hasMore {
      guard let next = socket.receive() else { return nil }
      part = next
      if isComplete {
        // With a further part behind it the message is not a request.
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
    return ZMQRequest(envelope: envelope, origin: first, body: body)
  }

  /// At most one line a second reports messages that are not requests.
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
      until: MonotonicTime.now() + Self.lookInterval)
  }

  /// The receiver has something to do that the descriptor does not report.
  func callReceiver() {
    if receiver != nil, isWatched { loop.notify(socket.descriptor) }
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

  /// Nanoseconds until the receiver looks again, though the descriptor reports nothing. There
  /// should be nothing: each send and receive is followed by a look.
  static let lookInterval: Int64 = 1_000_000_000
}

/// Requests that are carried out at a time.
private let mostRunning = 1000
/// Parts in front of a request: the identities of a client and of the queues between, what it wants
/// back, and an empty one.
private let mostEnvelope = 10
/// Clients that are remembered.
private let mostAuthorized = 100_000
