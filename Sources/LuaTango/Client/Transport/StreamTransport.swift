import Copas
import LuaCodec
import LuaConnection
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler
import SystemPackage

/// Carries calls over TCP, with or without TLS. Answers come in the order of the requests.
final class StreamTransport: Transport {
  typealias Calls = OrderedCalls

  static var serverNoticesEnd: Bool { true }
  static var answersInAnyOrder: Bool { false }
  static var isSpoiledByBadAnswers: Bool { true }

  let peer: String
  let configuration: ClientConfiguration
  let loop: CopasLoop
  private let sockets: SocketLibrary
  private let spare: SpareBuffer
  /// Nil before the first attempt to connect.
  private(set) var connection: TangoConnection!
  /// The LuaSocket object.
  private var socket = LuaStored()

  // MARK: Opening (StreamTransport+Opening)

  var attempts = ConnectionAttempts()
  /// That of the attempt under way.
  var opening: ConnectionOpening?

  init(
    _ configuration: ClientConfiguration, sockets: SocketLibrary, loop: CopasLoop,
    spare: SpareBuffer
  ) {
    self.configuration = configuration
    self.sockets = sockets
    self.loop = loop
    self.spare = spare
    peer = "\(configuration.address):\(configuration.port)"
  }

  @inline(__always)
  var isOpen: Bool { connection != nil && connection.isOpen }

  @inline(__always)
  var isReady: Bool { isOpen && attempts.current == nil }

  /// Makes a socket for a new connection, and pushes it.
  func pushNewSocket(_ call: LuaCall) {
    release()
    let payload = sockets.tcp.client.push(SocketObject(), onto: call)
    socket = LuaStored(call, at: -1)
    connection = TangoConnection(
      payload, sockets: sockets, loop: loop, spare: spare, limits: configuration.limits)
  }

  // MARK: Requests

  @inline(__always)
  func collect<Content: MessageContent>(
    _ format: MessageFormat, _ content: inout Content
  ) throws(SerializationFailure) {
    try connection.output.collect(format, &content)
  }

  /// The request is in the output buffer, behind those before it.
  @inline(__always)
  func commit(_ id: Int, isRead: Bool) {}

  @inline(__always)
  var unsentBytes: Int { connection.output.count }

  @inline(__always)
  func flush() -> Progress { connection.flush() }

  @inline(__always)
  var isFull: Bool { false }

  /// The request leaves all the same; its answer keeps the order.
  @inline(__always)
  func forget(_ id: Int) {}

  // MARK: Answers

  @inline(__always)
  var next: ReceivedAnswer {
    switch connection.nextFrame {
    case .frame(let headerBytes, let bodyBytes):
      .answer(Answer(id: 0, headerBytes: headerBytes, bodyBytes: bodyBytes))
    case .incomplete(let needed): .incomplete(needed: needed)
    case .invalid(let error): .invalid(error)
    }
  }

  @inline(__always)
  func body(of answer: Answer) -> UnsafeRawBufferPointer {
    connection.body(answer.headerBytes, answer.bodyBytes)
  }

  @inline(__always)
  func consume(_ answer: Answer) { connection.consume(answer.headerBytes + answer.bodyBytes) }

  @inline(__always)
  var mayRead: Bool { connection.stream.mayRead }

  @inline(__always)
  func receive(needed: Int, mayRead: Bool) -> Progress {
    connection.receive(needed: needed, mayRead: mayRead)
  }

  /// What is lost ends the connection.
  @inline(__always)
  func takeLoss(looks: Bool) -> ((Int) -> Bool)? { nil }

  // MARK: Waiting

  var descriptor: Int32 { connection.stream.descriptor }

  @inline(__always)
  func wait(
    for direction: Direction, until deadline: Int64, _ step: CallStep
  ) throws(Errno) -> LuaOutcome {
    try connection.stream.wait(for: direction, until: deadline, state: step.rawValue)
  }

  @inline(__always)
  func nextLook(before deadline: Int64) -> Int64 { deadline }

  // MARK: The end

  func prepareToClose() {}

  func end() { connection?.close() }

  /// A later call may make another connection.
  func close() {}

  func release() {
    connection?.close()
    socket = LuaStored()
  }
}
