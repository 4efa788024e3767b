import Copas
import IO
import Lua
import LuaSocket
import RPC

/// The bytes of one TCP connection: what the connections of several protocols have in common. Messages are
/// taken out of the socket's receive buffer where they lie; those to be sent are collected in a buffer.
public struct StreamConnection {
  public let sockets: SocketLibrary
  public let loop: CopasLoop
  /// The socket's payload, inside the userdata that the owner keeps on its stack or in the registry.
  public let socket: UnsafeMutablePointer<SocketObject>
  public let spare: SpareBuffer
  private let pool: BufferPool

  public init(
    _ socket: UnsafeMutablePointer<SocketObject>, sockets: SocketLibrary, loop: CopasLoop,
    spare: SpareBuffer
  ) {
    self.sockets = sockets
    self.loop = loop
    self.socket = socket
    self.spare = spare
    pool = sockets.pool
  }

  public var isOpen: Bool { socket.pointee.descriptor >= 0 }

  /// What was received and not consumed yet.
  public var received: UnsafeRawBufferPointer { socket.pointee.buffer.bytes }

  /// Removes a message from the receive buffer.
  public func consume(_ bytes: Int) {
    socket.pointee.buffer.consume(bytes)
    socket.pointee.buffer.releaseIfEmpty(to: pool)
  }

  /// Reads what is there.
  ///
  /// - Parameter needed: bytes that the message at the start of the buffer lacks.
  public func receive(needed: Int, mayRead: Bool) -> SocketObject.Progress {
    let wanted = socket.pointee.buffer.count + needed
    return socket.pointee.receive(
      .count(wanted), pool: pool, mayRead: mayRead,
      wasShort: { [loop, socket] in loop.drained(socket) })
  }

  /// Sends what was collected, as far as the system takes it.
  public func flush(_ buffer: inout OutputBuffer) -> SocketObject.Progress {
    guard !buffer.isEmpty else { return .done }
    var sent = 0
    let progress = buffer.withUnsafeBytes { socket.pointee.send($0, from: &sent) }
    buffer.removeFirst(sent)
    if buffer.isEmpty { spare.giveBack(&buffer) }
    return progress
  }

  /// Closes the socket, and forgets what it received.
  public func close() { sockets.close(&socket.pointee) }
}
