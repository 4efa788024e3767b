import Copas
import DequeModule
import Glibc
import LuaCodec
import LuaConnection
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler
import SystemPackage

/// Carries calls over ZeroMQ.
///
/// A request is the number of the call, an empty part and the message. Servers give all back that
/// is in front of the empty part. So answers may come in any order, and one that comes too late is
/// known for what it is.
final class ZMQTransport: Transport {
  typealias Calls = CallsByNumber

  static var serverNoticesEnd: Bool { false }
  static var answersInAnyOrder: Bool { true }
  static var isSpoiledByBadAnswers: Bool { false }

  let peer: String
  private let socket: ZMQSocket
  private let loop: CopasLoop
  private var isWatched = false
  private var output: MessageOutput
  /// Requests that libzmq did not take yet: no server is connected, or too many requests wait.
  private var outgoing: [(id: Int, body: [UInt8])] = []
  /// Requests that libzmq took, and whose answers are to come. One that was given up counts no
  /// more, for its answer may never come.
  private var unanswered: Set<Int> = []
  /// Answers that were received and not consumed: mostly one.
  private var received: Deque<(id: Int, body: ZMQPart)> = []
  /// The connection was lost, and the client is to be told.
  private var isLost = false
  private var isClosing = false

  init(
    _ configuration: ClientConfiguration, _ socket: ZMQSocket, loop: CopasLoop, spare: SpareBuffer
  ) {
    self.socket = socket
    self.loop = loop
    peer = configuration.url
    output = MessageOutput(limits: configuration.limits, isFramed: false, spare: spare)
  }

  var isOpen: Bool { socket.isOpen }

  // MARK: Opening, which libzmq does

  var isOpenedByCoroutine: Bool { false }
  var isReady: Bool { socket.isOpen }

  func hasHungUp() -> Bool { false }

  func open(_ call: LuaCall, observer: Int32) throws(LuaFailure) -> LuaOutcome? {
    throw call.failure("\(peer): closed")
  }

  func proceedOpening(
    _ call: LuaCall, _ step: CallStep, observer: Int32
  ) throws(LuaFailure) -> LuaOutcome? {
    throw call.failure("\(peer): closed")
  }

  func removed(_ task: TaskID) {}

  // MARK: Requests

  func collect<Content: MessageContent>(
    _ format: MessageFormat, _ content: inout Content
  ) throws(SerializationFailure) {
    try output.collect(format, &content)
  }

  func commit(_ id: Int, isRead: Bool) {
    output.writer.buffer.withUnsafeBytes { body in
      if !outgoing.isEmpty || !send(id, body) { outgoing.append((id, Array(body))) }
    }
    // Sending takes notice of what has happened meanwhile. The descriptor does not tell of that any
    // more.
    if isRead, isWatched, hasWork() { loop.notify(socket.descriptor) }
    output.writer.buffer.removeFirst(output.count)
    output.spare.giveBack(&output.writer.buffer)
  }

  /// Whether libzmq took the request. It has so many at most, for it drops answers that a client is
  /// slow to take.
  private func send(_ id: Int, _ body: UnsafeRawBufferPointer) -> Bool {
    guard !isFull || isClosing else { return false }
    var number = UInt64(id)
    let code = withUnsafeBytes(of: &number) { socket.send($0, more: true) }
    guard code == 0 else { return code != EAGAIN }
    _ = socket.send([], more: true)
    _ = socket.send(body, more: false)
    unanswered.insert(id)
    return true
  }

  /// A caller need not wait: so many calls may be in flight, and each request is kept until libzmq
  /// takes it.
  var unsentBytes: Int { 0 }

  func flush() -> Progress {
    var sent = 0
    for (id, body) in outgoing {
      guard body.withUnsafeBytes({ send(id, $0) }) else { break }
      sent += 1
    }
    if sent > 0 { outgoing.removeFirst(sent) }
    return .done
  }

  var isFull: Bool { unanswered.count >= mostUnanswered }

  func forget(_ id: Int) {
    unanswered.remove(id)
    // What was not sent must not run when no call waits for it any more.
    if !outgoing.isEmpty { outgoing.removeAll { $0.id == id } }
  }

  // MARK: Answers

  var next: ReceivedAnswer {
    guard let answer = received.first else { return .incomplete(needed: 1) }
    return .answer(Answer(id: answer.id, headerBytes: 0, bodyBytes: answer.body.bytes.count))
  }

  func body(of answer: Answer) -> UnsafeRawBufferPointer { received[0].body.bytes }

  func consume(_ answer: Answer) {
    if !received.isEmpty { received.removeFirst() }
  }

  var mayRead: Bool { true }

  func receive(needed: Int, mayRead: Bool) -> Progress {
    guard socket.isOpen else { return .failed("closed") }
    if let first = socket.receive() {
      take(first)
      return .done
    }
    return hasWork() ? .done : .wait(.read)
  }

  /// Whether something can be sent or received. To be asked before each wait.
  private func hasWork() -> Bool {
    let events = socket.events
    // Read `events` first: when it shows the end of a connection, the monitor has already reported
    // it.
    if socket.takeLoss(events) {
      isLost = true
      return true
    }
    return events.contains(.input) || !outgoing.isEmpty && !isFull && events.contains(.room)
  }

  /// Takes a message whose first part this is: the number of the call, an empty part, the answer.
  /// Any other message answers no call.
  private func take(_ first: ZMQPart) {
    var parts = [first]
    while parts[parts.count - 1].hasMore {
      guard let part = socket.receive() else { return }
      // All parts come at once, and have to be taken; but not kept.
      if parts.count < 4 { parts.append(part) } else { parts[3] = part }
    }
    guard parts.count == 3, first.bytes.count == 8, parts[1].bytes.isEmpty else {
      received.append((0, first))
      return
    }
    let id = Int(truncatingIfNeeded: first.bytes.loadUnaligned(as: UInt64.self))
    unanswered.remove(id)
    received.append((id, parts[2]))
  }

  func takeLoss(looks: Bool) -> ((Int) -> Bool)? {
    guard isLost || looks && socket.takeLoss(socket.events), socket.isOpen else { return nil }
    return renew().contains
  }

  /// Makes a new socket. Returns the calls that are not lost.
  private func renew() -> Set<Int> {
    isLost = false
    // What had come before counts.
    while let first = socket.receive() { take(first) }
    if isWatched { loop.forget(socket.descriptor) }
    isWatched = false
    socket.renew()
    unanswered = []
    return Set(outgoing.map(\.id)).union(received.map(\.id))
  }

  // MARK: Waiting

  var descriptor: Int32 { socket.descriptor }

  func wait(
    for direction: Direction, until deadline: Int64, _ step: CallStep
  ) throws(Errno) -> LuaOutcome {
    try loop.wait(
      on: socket.descriptor, isWatched: &isWatched, for: .read, until: deadline,
      state: step.rawValue)
  }

  func nextLook(before deadline: Int64) -> Int64 {
    min(deadline, MonotonicTime.now() + lookInterval)
  }

  // MARK: The end

  func prepareToClose() {
    outgoing = []
    isClosing = true
  }

  func end() {
    outgoing = []
    received = []
  }

  func close() {
    guard socket.isOpen else { return }
    if isWatched { loop.forget(socket.descriptor) }
    isWatched = false
    socket.close()
  }

  func release() {}
}

/// Half of libzmq's high-water mark.
private let mostUnanswered = 500
/// Nanoseconds between looks without need: of a connection that was never one, because the peer
/// broke the rules at its beginning, the descriptor does not tell.
private let lookInterval: Int64 = 1_000_000_000
