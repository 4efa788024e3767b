import Copas
import IO
import Lua
import LuaCodec
import LuaSocket
import RPC

/// Messages over one TCP connection: what client and server have in common. Frames are taken out of
/// the socket's receive buffer where they lie; those to be sent are collected and leave in one write.
final class TangoConnection: TurnEndObserver {
  let sockets: SocketLibrary
  let loop: CopasLoop
  /// The socket's payload, inside the userdata that the owner keeps on its stack or in the registry.
  let socket: UnsafeMutablePointer<SocketObject>
  let limits: RPCLimits
  private let pool: BufferPool
  private let spare: SpareBuffer
  var writer = TangoTextWriter()

  init(
    _ socket: UnsafeMutablePointer<SocketObject>, sockets: SocketLibrary, loop: CopasLoop,
    spare: SpareBuffer, limits: RPCLimits
  ) {
    self.sockets = sockets
    self.loop = loop
    self.socket = socket
    self.limits = limits
    self.spare = spare
    pool = sockets.pool
  }

  var isOpen: Bool { socket.pointee.descriptor >= 0 }

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
  func consume(_ bytes: Int) {
    socket.pointee.buffer.consume(bytes)
    socket.pointee.buffer.releaseIfEmpty(to: pool)
  }

  /// Reads what is there.
  ///
  /// - Parameter needed: bytes that the frame at the start of the buffer lacks.
  func receive(needed: Int, mayRead: Bool) -> SocketObject.Progress {
    let wanted = socket.pointee.buffer.count + needed
    let progress = socket.pointee.receive(
      .count(wanted), pool: pool, mayRead: mayRead,
      wasShort: { [loop, socket] in loop.drained(socket) })
    if case .wait = progress, !socket.pointee.buffer.isEmpty {
      // Part of a frame. The peer may be holding the rest back until this part is acknowledged: the
      // original tango writes length and message separately, with Nagle's algorithm on.
      socket.pointee.socket.acknowledgeAtOnce()
    }
    return progress
  }

  /// Sends what was collected, as far as the system takes it.
  func flush() -> SocketObject.Progress {
    guard !writer.buffer.isEmpty else { return .done }
    var sent = 0
    let progress = writer.buffer.withUnsafeBytes { socket.pointee.send($0, from: &sent) }
    writer.buffer.removeFirst(sent)
    if writer.buffer.isEmpty { spare.giveBack(&writer.buffer) }
    return progress
  }

  /// Sends what can be sent, without waiting.
  func turnEnded() {
    if isOpen { _ = flush() }
  }

  /// Collects a frame whose body `write` makes; nothing is left of it when that fails.
  @inline(__always)
  func collect(
    _ write: (inout TangoTextWriter) throws(SerializationFailure) -> Void
  ) throws(SerializationFailure) {
    spare.lend(to: &writer.buffer)
    let start = writer.buffer.count
    let frame = LengthLineFraming.open(in: &writer.buffer)
    do throws(SerializationFailure) {
      try write(&writer)
    } catch {
      LengthLineFraming.drop(frame, from: &writer.buffer)
      writer.breakOff()
      throw error
    }
    if LengthLineFraming.close(frame, in: &writer.buffer) > limits.frameBytes {
      writer.buffer.truncate(to: start)
      throw .size(limit: limits.frameBytes)
    }
  }

  /// Collects a frame with this body.
  func collect(body: UnsafeRawBufferPointer) throws(SerializationFailure) {
    try collect { (writer: inout TangoTextWriter) throws(SerializationFailure) in
      writer.buffer.append(body)
    }
  }

  func close() {
    sockets.close(&socket.pointee)
    writer.buffer.release()
  }
}

/// Memory for messages that are collected. Nearly always one connection after the other collects and
/// sends, so all use the same memory, which is in the processor's cache, and idle ones hold none.
final class SpareBuffer {
  private static let mostKept = 4096
  private var buffer = OutputBuffer()

  /// Gives a buffer that has no memory ours.
  @inline(__always)
  func lend(to other: inout OutputBuffer) {
    if other.capacity == 0 { other.takeMemory(of: &buffer) }
  }

  /// Takes the memory of an empty buffer.
  @inline(__always)
  func giveBack(_ other: inout OutputBuffer) {
    if buffer.capacity == 0, other.capacity <= Self.mostKept {
      buffer.takeMemory(of: &other)
    } else {
      other.release()
    }
  }
}

/// Writes values of the stack as elements of a message.
struct MessageWriter {
  private let source: LuaStackSource
  private let limit: Int
  private let start: Int

  init(_ call: LuaCall, _ limits: RPCLimits, start: Int) {
    source = LuaStackSource(call, depthLimit: limits.depth)
    limit = limits.frameBytes
    self.start = start
  }

  func element(
    _ position: Int, valueAt index: Int, to writer: inout TangoTextWriter
  ) throws(SerializationFailure) {
    writer.beginElement(position)
    let bound = start + limit
    try source.write(
      index, to: &writer, isFull: { [limit] in $0.buffer.count > bound ? limit : nil })
    writer.endElement(position)
  }
}
