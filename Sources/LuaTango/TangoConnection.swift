import Copas
import LuaConnection
import LuaSocket
import MilongaLua
import MilongaRPC
import MilongaScheduler

/// Messages over one TCP connection, with or without TLS: what client and server have in common.
final class TangoConnection: TurnEndObserver, RoundEndObserver {
  let stream: StreamConnection
  let loop: CopasLoop
  /// The socket's payload, inside the userdata that the owner keeps on its stack or in the
  /// registry. With TLS LuaSec has the descriptor, and only the buffer is used.
  let socket: UnsafeMutablePointer<SocketObject>
  let limits: RPCLimits
  var output: MessageOutput

  // MARK: What is held (TangoConnection+Holding)

  /// Of a server.
  let keeper: BufferKeeper?
  let log: PeerLog?
  /// The client's address, for messages.
  var peer = "unknown peer"
  var holder: BufferHolder?
  /// Bytes of the large ones among the calls that are being carried out.
  var serving = 0
  /// Bytes of answers that wait behind calls.
  var held = 0
  /// The keeper knows of something that is held, or has to be told.
  var isHolding = false
  /// The coroutine that waits for room, when the descriptor does not tell.
  var pausedTask: TaskID?

  // MARK: While a request is read or answered

  /// A request is read where it was received, or an answer is written. Lua code may run meanwhile.
  /// What would end the connection waits until that is over.
  var isBusy = false
  /// Something has waited for that.
  var isEndDue = false
  /// Of a server; it clears this when it goes.
  unowned(unsafe) var session: TangoSession?

  typealias Progress = StreamConnection.Progress

  init(
    _ socket: UnsafeMutablePointer<SocketObject>, sockets: SocketLibrary, loop: CopasLoop,
    spare: SpareBuffer, limits: RPCLimits, keeper: BufferKeeper? = nil, log: PeerLog? = nil
  ) {
    self.keeper = keeper
    self.log = log
    stream = StreamConnection(
      socket, sockets: sockets, loop: loop, spare: spare, keeper: keeper)
    self.loop = loop
    self.socket = socket
    self.limits = limits
    output = MessageOutput(limits: limits, isFramed: true, spare: spare)
  }

  deinit { forgetHolder() }

  /// The socket may be gone for good after this.
  private var isClosed = false
  /// The other side has gone; what it sent before is still to be handled.
  var keepsReceived = false

  var isOpen: Bool { !isClosed && stream.isOpen }

  // MARK: Frames

  /// What lies at the start of the receive buffer.
  @inline(__always)
  var nextFrame: FrameResult {
    guard !socket.pointee.buffer.isEmpty else { return .incomplete(needed: 1) }
    return LengthLineFraming.next(in: socket.pointee.buffer.bytes, maxBytes: limits.frameBytes)
  }

  /// The body of a frame found by ``nextFrame``.
  @inline(__always)
  func body(_ headerBytes: Int, _ bodyBytes: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      rebasing: socket.pointee.buffer.bytes[headerBytes..<headerBytes + bodyBytes])
  }

  /// Removes a frame from the receive buffer.
  @inline(__always)
  func consume(_ bytes: Int) { stream.consume(bytes) }

  // MARK: Transfer

  /// Reads what is there.
  ///
  /// - Parameter needed: bytes that the frame at the start of the buffer lacks.
  @inline(__always)
  func receive(needed: Int, mayRead: Bool) -> Progress {
    let progress = stream.receive(needed: needed, mayRead: mayRead)
    if case .wait = progress, !socket.pointee.buffer.isEmpty {
      // Part of a frame. The original tango writes length and message separately, with Nagle's
      // algorithm on.
      stream.acknowledgeAtOnce()
    }
    return progress
  }

  /// Sends what was collected, as far as the system takes it.
  @inline(__always)
  func flush() -> Progress {
    if stream.isSecure { return stream.flushSecurely { swap(&$0, &output.writer.buffer) } }
    return stream.flush(&output.writer.buffer)
  }

  /// Sends what can be sent, without waiting.
  func turnEnded() {
    guard !isBusy else { return }
    if isOpen { _ = flush() }
    if keeper != nil, isHolding || !output.isEmpty || !isDrained { tellHolding() }
  }

  func roundEnded() { turnEnded() }

  /// The other side has gone. What it sent before is kept, to be handled.
  func closeKeepingReceived() {
    output.release()
    stream.closeKeepingReceived()
    keepsReceived = true
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    keepsReceived = false
    stream.close()
    output.release()
    if isHolding { tellHolding() }
  }

  /// The connection does not use the socket any more, and leaves it open.
  func detach() {
    guard !isClosed else { return }
    isClosed = true
    keepsReceived = false
    output.release()
    forgetHolder()
  }
}

extension OpeningSettings.Authorization {
  /// The program's function is told about the other side, and answers whether that may go on, and
  /// why not.
  convenience init?(tango function: consuming LuaStored) {
    self.init(function, results: 2) { stream, call, _ in
      stream.pushPeer(onto: call)
      return 1
    }
  }
}
