import Copas
import IO
import Lua
import LuaConnection
import LuaSocket
import RPC
import Scheduler
import SystemPackage

/// Messages over one TCP connection, with or without TLS: what client and server have in common. Frames are taken
/// out of the socket's receive buffer where they lie; those to be sent are collected and leave in one write.
final class TangoConnection: TurnEndObserver, RoundEndObserver {
  let stream: StreamConnection
  let loop: CopasLoop
  /// The socket's payload, inside the userdata that the owner keeps on its stack or in the registry. With TLS
  /// LuaSec has the descriptor, and only the buffer is used.
  let socket: UnsafeMutablePointer<SocketObject>
  let limits: RPCLimits
  var output: MessageOutput
  private(set) var tls: TLSLayer?

  /// How far an operation got.
  enum Progress {
    case done
    /// It goes on when the socket is ready.
    case wait(Direction)
    case failed(String)
  }

  init(
    _ socket: UnsafeMutablePointer<SocketObject>, sockets: SocketLibrary, loop: CopasLoop,
    spare: SpareBuffer, limits: RPCLimits
  ) {
    stream = StreamConnection(socket, sockets: sockets, loop: loop, spare: spare)
    self.loop = loop
    self.socket = socket
    self.limits = limits
    output = MessageOutput(limits: limits, isFramed: true, spare: spare)
  }

  /// The socket may be gone for good after this.
  private var isClosed = false

  var isOpen: Bool { !isClosed && (stream.isOpen || tls?.isOpen == true) }

  var descriptor: Int32 { tls?.descriptor ?? socket.pointee.descriptor }

  // MARK: TLS

  /// From here on the connection speaks TLS; a handshake has to follow.
  ///
  /// - Parameter index: the place of the socket on the stack.
  func startTLS(_ call: LuaCall, socket index: Int, _ context: TLSContext) -> TLSLayer? {
    let descriptor = socket.pointee.descriptor
    if socket.pointee.isWatched {
      loop.forget(descriptor)
      socket.pointee.isWatched = false
    }
    guard context.pushConnection(call, socket: index) else { return nil }
    let layer = TLSLayer(call, descriptor: descriptor, main: loop.main)
    tls = layer
    return layer
  }

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

  /// Whether it is worth asking the system, as far as the dispatcher knows.
  @inline(__always)
  var mayRead: Bool { tls != nil || loop.isReady(socket, .read) }

  /// Reads what is there.
  ///
  /// - Parameter needed: bytes that the frame at the start of the buffer lacks.
  @inline(__always)
  func receive(needed: Int, mayRead: Bool) -> Progress {
    if tls != nil { return receiveSecurely(needed: needed) }
    switch stream.receive(needed: needed, mayRead: mayRead) {
    case .done: return .done
    case .failed(let failure): return .failed(failure.text)
    case .wait:
      if !socket.pointee.buffer.isEmpty {
        // Part of a frame. The peer may be holding the rest back until this part is acknowledged: the
        // original tango writes length and message separately, with Nagle's algorithm on.
        socket.pointee.socket.acknowledgeAtOnce()
      }
      return .wait(.read)
    }
  }

  @inline(never)
  private func receiveSecurely(needed: Int) -> Progress {
    let wanted = socket.pointee.buffer.count + needed
    while socket.pointee.buffer.count < wanted {
      let progress = tls!.receive(into: &socket.pointee.buffer, pool: stream.sockets.pool)
      switch progress {
      case .done: continue
      case .wait(let direction): return .wait(direction)
      case .failed(let text): return .failed(text)
      }
    }
    return .done
  }

  /// Sends what was collected, as far as the system takes it.
  @inline(__always)
  func flush() -> Progress {
    if tls != nil { return flushSecurely() }
    switch stream.flush(&output.writer.buffer) {
    case .done: return .done
    case .wait: return .wait(.write)
    case .failed(let failure): return .failed(failure.text)
    }
  }

  @inline(never)
  private func flushSecurely() -> Progress {
    switch tls!.send(&output.writer.buffer) {
    case .done:
      stream.spare.giveBack(&output.writer.buffer)
      return .done
    case .wait(let direction): return .wait(direction)
    case .failed(let text): return .failed(text)
    }
  }

  /// Lets the running coroutine wait until the connection is ready; it was found not to be just before.
  func wait(
    for direction: Direction, until deadline: Int64, state: Int = 0
  ) throws(Errno) -> LuaOutcome {
    if let tls {
      return try loop.wait(
        on: tls.descriptor, isWatched: &tls.isWatched, for: direction, until: deadline,
        state: state)
    }
    if direction == .write { loop.markUnready(socket, .write) }
    return try loop.wait(socket, for: direction, until: deadline, state: state)
  }

  /// Sends what can be sent, without waiting.
  func turnEnded() {
    if isOpen { _ = flush() }
  }

  func roundEnded() { turnEnded() }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    if let tls, tls.isOpen {
      if tls.isWatched { loop.forget(tls.descriptor) }
      tls.close()
    }
    stream.close()
    output.release()
  }
}
