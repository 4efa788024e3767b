import LuaSocket
import MilongaIO
import MilongaRPC
import SystemPackage

// The end of a connection that is noticed while no message is awaited.
extension StreamConnection {
  /// Registers the descriptor with the dispatcher before anything waits for it.
  package func watch() throws(Errno) {
    if let tls {
      guard !tls.isWatched else { return }
      try loop.register(tls.descriptor)
      tls.isWatched = true
    } else {
      try loop.watch(socket)
    }
  }

  /// Reads what the other side has sent.
  ///
  /// - Parameter limit: received bytes beyond which no more is read.
  /// - Returns: whether all is read, and the other side has ended the connection or its direction.
  package func receiveRest(limit: Int) -> Bool {
    guard let tls else {
      let progress = socket.pointee.receive(.count(limit), pool: sockets.pool)
      if case .failed = progress { return true }
      return false
    }
    while socket.pointee.buffer.count < limit {
      switch tls.receive(into: &socket.pointee.buffer, pool: sockets.pool) {
      case .done: continue
      case .wait:
        socket.pointee.buffer.releaseIfEmpty(to: sockets.pool)
        return false
      case .failed: return true
      }
    }
    return false
  }

  /// Closes the connection, and keeps what was received.
  package func closeKeepingReceived() {
    let received = socket.pointee.buffer
    socket.pointee.buffer = ReceiveBuffer()
    close()
    socket.pointee.buffer = received
  }
}
