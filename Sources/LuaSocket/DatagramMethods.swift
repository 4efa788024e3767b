import CMilongaMemory
import Glibc
import MilongaIO
import MilongaLua
import SystemPackage

// Datagrams, for UDP and Unix sockets. Failures have texts of their own: see `datagramText`.
extension SocketLibrary {
  /// LuaSocket's `_DATAGRAMSIZE`: bytes that `receive` takes when the program does not say.
  package static let defaultDatagramSize = 8192

  /// Sets `send` and `receive` in the table on top of the stack.
  func addDatagramMethods(_ call: LuaCall, of sockets: DatagramClasses) {
    call.setFunction("send") { [self] (call) throws(LuaFailure) in
      let socket = try check(sockets.connected, call)
      return try sendDatagram(call, socket, try call.bytes(at: 2)) { $0.send($1) }
    }
    call.setFunction("receive") { [self] (call) throws(LuaFailure) in
      let socket = try check(sockets.any, call)
      return try receiveDatagram(call, socket) { $0.receive(into: $1) } ?? .results(1)
    }
  }

  /// Sends one datagram, waiting as the timeouts say, and pushes its length.
  func sendDatagram(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>,
    _ bytes: UnsafeRawBufferPointer,
    _ send: (Socket, UnsafeRawBufferPointer) -> Transfer
  ) throws(LuaFailure) -> LuaOutcome {
    guard socket.pointee.descriptor >= 0 else { return call.pushDatagramFailure(.closed) }
    var start: Int64?
    while true {
      switch send(socket.pointee.socket, bytes) {
      case .moved(let count):
        call.push(Double(count))
        return .results(1)
      case .failed(let code): return call.pushDatagramFailure(.system(code))
      case .wouldBlock:
        if let failure = try wait(call, socket, .writable, &start) {
          return call.pushDatagramFailure(failure)
        }
      }
    }
  }

  /// Receives one datagram of at most so many bytes as the argument at 2 says, and pushes it. An
  /// outcome when that failed.
  func receiveDatagram(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>,
    by receive: (Socket, UnsafeMutableRawBufferPointer) -> Transfer
  ) throws(LuaFailure) -> LuaOutcome? {
    let wanted = try call.number(at: 2, default: Double(Self.defaultDatagramSize)).clampedToInt
    guard wanted >= 0 else {
      throw call.argumentFailure(2, "number of bytes expected, got \(wanted)")
    }
    guard socket.pointee.descriptor >= 0 else { return call.pushFailure(.closed) }
    var start: Int64?
    while true {
      let transfer = withRoom(for: wanted, in: socket.pointee.socket) { room in
        let transfer = receive(socket.pointee.socket, room)
        if case .moved(let count) = transfer {
          call.push(UnsafeRawBufferPointer(rebasing: room[..<count]))
        }
        return transfer
      }
      switch transfer {
      case .moved: return nil
      case .failed(.noMemory): throw call.memoryFailure()
      case .failed(let code): return call.pushDatagramFailure(.system(code))
      case .wouldBlock:
        if let failure = try wait(call, socket, .readable, &start) {
          return call.pushDatagramFailure(failure)
        }
      }
    }
  }

  /// Room for a datagram of at most `wanted` bytes. Beyond a block of the pool it is as large as
  /// the datagram, however large the number is.
  private func withRoom(
    for wanted: Int, in socket: Socket, _ body: (UnsafeMutableRawBufferPointer) -> Transfer
  ) -> Transfer {
    if wanted <= BufferPool.blockSize {
      return pool.withBlock { body(UnsafeMutableRawBufferPointer(rebasing: $0[..<wanted])) }
        ?? .failed(.noMemory)
    }
    let next = socket.nextDatagramLength()
    guard case .moved(let length) = next else { return next }
    let count = min(length, wanted)
    guard let memory = milonga_allocate(max(count, 1)) else { return .failed(.noMemory) }
    defer { free(memory) }
    return body(UnsafeMutableRawBufferPointer(start: memory, count: count))
  }
}

extension LuaCall {
  /// Pushes nil and the text of the failure. A datagram socket has no connection that could be
  /// closed: it is refused.
  func pushDatagramFailure(_ failure: SocketFailure) -> LuaOutcome {
    pushNil()
    push(failure.text == SocketFailure.closed.text ? "refused" : failure.text)
    return .results(2)
  }
}
