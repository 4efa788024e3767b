import LuaCodec
import LuaConnection
import MilongaLua
import MilongaRPC
import MilongaScheduler
import SystemPackage

/// What carries a client's requests to a server, and brings the answers.
///
/// Its functions never wait. Each does what can be done at once, and says what it would have to
/// wait for. The client (``TangoClient``) is written once for all transports, and specialized for
/// each.
protocol Transport: AnyObject {
  associatedtype Calls: CallTable
  typealias Progress = StreamConnection.Progress

  /// The server notices when the connection ends, and lets go of the objects that it has kept for
  /// it.
  static var serverNoticesEnd: Bool { get }
  /// Answers come in any order. (With a fixed order the oldest call knows that it is next.)
  static var answersInAnyOrder: Bool { get }
  /// A message that cannot be read spoils those behind it.
  static var isSpoiledByBadAnswers: Bool { get }

  /// The server's address, for messages.
  var peer: String { get }
  var isOpen: Bool { get }

  // MARK: Opening

  /// A coroutine makes the connection at the moment, and the program cannot wait for that.
  var isOpenedByCoroutine: Bool { get }
  /// A call can be made now.
  var isReady: Bool { get }
  /// The server has closed the connection while it was not used. A call would be lost.
  func hasHungUp() -> Bool
  /// Makes a new connection, or waits until another coroutine has made it. Nil when it is there.
  ///
  /// - Parameter observer: is told when the running coroutine is removed; see
  ///   `CopasLoop.observeRemoval(by:)`.
  func open(_ call: LuaCall, observer: Int32) throws(LuaFailure) -> LuaOutcome?
  /// Goes on with that when the function runs again. Nil when the connection is there, and the
  /// stack is as it was before.
  func proceedOpening(
    _ call: LuaCall, _ step: CallStep, observer: Int32
  ) throws(LuaFailure) -> LuaOutcome?
  /// The coroutine was removed while it waited.
  func removed(_ task: TaskID)

  // MARK: Requests

  /// Collects a request; nothing is left of it when that fails.
  func collect<Content: MessageContent>(
    _ format: MessageFormat, _ content: inout Content
  ) throws(SerializationFailure)
  /// The request that was collected last is that of the call `id`, and may leave.
  ///
  /// - Parameter isRead: a coroutine reads the answers, and may wait.
  func commit(_ id: Int, isRead: Bool)
  /// Bytes of requests that are collected and not sent.
  var unsentBytes: Int { get }
  /// Sends what can be sent.
  func flush() -> Progress
  /// So many requests are not answered that no more are sent.
  var isFull: Bool { get }
  /// The call was given up: its request need not be sent.
  func forget(_ id: Int)

  // MARK: Answers

  /// What was received and not consumed.
  var next: ReceivedAnswer { get }
  /// The message of an answer. It stays there until ``consume(_:)``.
  func body(of answer: Answer) -> UnsafeRawBufferPointer
  func consume(_ answer: Answer)
  /// Whether it is worth asking the system, as far as the dispatcher knows.
  var mayRead: Bool { get }
  /// Receives what is there. It may be nothing that concerns the client: ``next`` tells.
  ///
  /// - Parameter needed: bytes that the next answer lacks.
  func receive(needed: Int, mayRead: Bool) -> Progress
  /// The way to the server was lost since the last time, and there is a new one. What was sent is
  /// lost.
  ///
  /// - Parameter looks: asks the system, and not only what is known.
  /// - Returns: whether a call, by its number, is not lost: its request was not sent, or its answer
  ///   has come.
  func takeLoss(looks: Bool) -> ((Int) -> Bool)?

  // MARK: Waiting

  var descriptor: Int32 { get }
  /// Lets the running coroutine wait until the descriptor is ready; it was found not to be just
  /// before.
  func wait(
    for direction: Direction, until deadline: Int64, _ step: CallStep
  ) throws(Errno) -> LuaOutcome
  /// When to look again at the latest, though the descriptor has told of nothing.
  func nextLook(before deadline: Int64) -> Int64

  // MARK: The end

  /// The client ends its connection: what is collected after this is sent as far as it can be at
  /// once.
  func prepareToClose()
  /// The connection has ended. The transport may make another one.
  func end()
  /// The program has closed the connection.
  func close()
  /// Lua has collected the connection.
  func release()
}

/// What lies at the start of what was received.
enum ReceivedAnswer {
  case answer(Answer)
  /// At least so many bytes have to come before there is an answer.
  case incomplete(needed: Int)
  /// The bytes are no answer, and what follows cannot be read.
  case invalid(FramingError)
}
