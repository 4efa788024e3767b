import Copas
import DequeModule
import LuaConnection
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler

/// A client of a ZeroMQ server that makes it hold something: answers that it has not read, calls
/// that wait behind them, large calls. Others are only counted all together.
///
/// libzmq does not report what a client has not read, and cannot be told to stop reading from one
/// client. So the server counts the bytes that libzmq has for the client. When they are many,
/// further calls of it are *parked*: they begin when it has read.
final class ZMQPeer: BufferHolding {
  private unowned let server: ZMQServer
  /// That of the server, which may end before.
  private let keeper: BufferKeeper
  let identity: [UInt8]
  private let address: String
  private let connection: ZMQConnection?
  /// Answers that libzmq has for it.
  let answers: ZMQCounter
  private var holder: BufferHolder!
  private var parked: Deque<ZMQRequest> = []
  private var parkedBytes = 0
  /// Calls that were parked, and are being carried out.
  private var admitted = 0
  /// Calls that have been carried out, but whose results would be too much to be sent.
  private var waiting: Deque<TaskID> = []
  /// Bytes of large calls that are being carried out.
  private var serving = 0
  private var largestAnswer = 0
  /// When ``unread`` was less than before, and what it was then.
  private var progress: (time: Int64, unread: Int) = (0, .max)
  /// It was disconnected, and gets nothing more.
  private(set) var isBarred = false

  init?(_ server: ZMQServer, _ request: ZMQRequest) {
    guard let answers = ZMQCounter(server.answers) else { return nil }
    self.server = server
    keeper = server.configuration.keeper
    self.answers = answers
    identity = request.identity
    address = request.origin.peer
    connection = request.origin.connection
    holder = BufferHolder(self, asksToCount: true)
  }

  deinit { keeper.remove(holder) }

  /// Bytes of answers that it has not read.
  private var unread: Int { answers.bytes }

  /// Nothing is held for it.
  var isIdle: Bool {
    parked.isEmpty && waiting.isEmpty && admitted == 0 && serving == 0 && unread == 0
  }

  private func tell() {
    guard !isBarred else { return }
    // How large results will be that are not written yet is not known.
    let unwritten = waiting.count * largestAnswer
    keeper.set(holder, bytes: unread + parkedBytes + unwritten, serving: serving)
  }

  // MARK: Calls

  /// Its calls wait until it has read.
  var isStopped: Bool { !parked.isEmpty || unread > mostUnread }

  /// Keeps a call for later.
  func park(_ request: ZMQRequest) {
    parked.append(request)
    parkedBytes += request.cost
    server.watchWaker()
    if unread + parkedBytes > keeper.share {
      return endForMemory(
        "it does not read its answers: \(unread) bytes of them, and \(parkedBytes) of calls behind them, wait "
          + "(max_buffered_bytes)")
    }
    tell()
    watchRest()
  }

  /// Counts a large call; whether it is too much.
  func beginServing(_ bytes: Int) -> Bool {
    let isTooMuch =
      unread + parkedBytes + serving + bytes > max(keeper.share, bytes) || keeper.mustWait(holder)
    serving += bytes
    tell()
    return isTooMuch
  }

  func endServing(_ bytes: Int) {
    serving -= bytes
    tell()
  }

  /// A call that was parked has been carried out.
  func admittedEnded() {
    admitted -= 1
    proceed()
  }

  /// An answer has been given to libzmq.
  func sent(_ bytes: Int) {
    largestAnswer = max(largestAnswer, bytes)
    tell()
  }

  /// The results of a call are there. Lets it wait if too many other answers are not read; whether
  /// it waits.
  func waitToAnswer(_ task: TaskID) -> Bool {
    guard !isBarred, unread > keeper.share else { return false }
    waiting.append(task)
    answers.wake(below: keeper.share / 2)
    server.watchWaker()
    tell()
    return !isBarred
  }

  /// Goes on with what waits, as far as what it has not read allows that.
  func proceed() {
    guard !isBarred else { return }
    let size = max(largestAnswer, 1)
    if !waiting.isEmpty, unread <= keeper.share {
      let count = min(waiting.count, max(1, (keeper.share - unread) / size))
      for _ in 0..<count { server.loop.wake(waiting.removeFirst()) }
    }
    while !parked.isEmpty, unread <= mostUnread, admitted < mostAdmitted,
      admitted == 0 || unread + (admitted + 1) * size <= mostUnread
    {
      let request = parked.removeFirst()
      parkedBytes -= request.cost
      admitted += 1
      server.admit(request)
    }
    watchRest()
    tell()
  }

  /// Asks to be told when it has read so much that what waits can go on.
  private func watchRest() {
    if !waiting.isEmpty {
      answers.wake(below: keeper.share / 2)
    } else if parked.isEmpty || admitted > 0 && unread <= mostUnread {
      // The end of those that were admitted goes on.
      answers.wake(below: -1)
    } else {
      answers.wake(below: mostUnread / 2)
    }
  }

  // MARK: The end

  /// It has left: what is kept for it is dropped.
  func left() {
    parked = []
    parkedBytes = 0
    for task in waiting { server.loop.wake(task) }
    waiting = []
    tell()
  }

  func endForMemory(_ reason: String) {
    guard !isBarred else { return }
    server.configuration.log.disconnected(
      address.isEmpty ? server.configuration.url : address, reason)
    isBarred = true
    keeper.remove(holder)
    left()
    connection?.end()
  }

  /// libzmq cannot be told not to read.
  func mayReadAgain() {}

  func countAgain() {
    let unread = unread
    let now = MonotonicTime.now()
    if waiting.isEmpty || unread < progress.unread {
      progress = (now, unread)
    } else if now - progress.time > BufferAccount.patience {
      return endForMemory(
        "it does not read its answers: \(unread) bytes of them wait (max_buffered_bytes)")
    }
    tell()
    if isIdle { server.forget(self) }
  }
}

/// Bytes of answers that a client may have to read before its next call begins.
private let mostUnread = 1 << 20
/// Calls of one client that were parked, and are carried out side by side.
private let mostAdmitted = 64
