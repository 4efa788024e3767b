import Copas
import IO
import Lua
import LuaCodec
import LuaConnection
import LuaSocket
import RPC

/// Messages over one TCP connection: what client and server have in common. Frames are taken out of
/// the socket's receive buffer where they lie; those to be sent are collected and leave in one write.
final class TangoConnection: TurnEndObserver {
  let stream: StreamConnection
  let loop: CopasLoop
  /// The socket's payload, inside the userdata that the owner keeps on its stack or in the registry.
  let socket: UnsafeMutablePointer<SocketObject>
  let limits: RPCLimits
  var writer = TangoTextWriter()

  init(
    _ socket: UnsafeMutablePointer<SocketObject>, sockets: SocketLibrary, loop: CopasLoop,
    spare: SpareBuffer, limits: RPCLimits
  ) {
    stream = StreamConnection(socket, sockets: sockets, loop: loop, spare: spare)
    self.loop = loop
    self.socket = socket
    self.limits = limits
  }

  var isOpen: Bool { stream.isOpen }

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

  /// Reads what is there.
  ///
  /// - Parameter needed: bytes that the frame at the start of the buffer lacks.
  func receive(needed: Int, mayRead: Bool) -> SocketObject.Progress {
    let progress = stream.receive(needed: needed, mayRead: mayRead)
    if case .wait = progress, !socket.pointee.buffer.isEmpty {
      // Part of a frame. The peer may be holding the rest back until this part is acknowledged: the
      // original tango writes length and message separately, with Nagle's algorithm on.
      socket.pointee.socket.acknowledgeAtOnce()
    }
    return progress
  }

  /// Sends what was collected, as far as the system takes it.
  func flush() -> SocketObject.Progress { stream.flush(&writer.buffer) }

  /// Sends what can be sent, without waiting.
  func turnEnded() {
    if isOpen { _ = flush() }
  }

  /// Collects a frame whose body `write` makes; nothing is left of it when that fails.
  @inline(__always)
  func collect(
    _ write: (inout TangoTextWriter) throws(SerializationFailure) -> Void
  ) throws(SerializationFailure) {
    stream.spare.lend(to: &writer.buffer)
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
    stream.close()
    writer.buffer.release()
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
