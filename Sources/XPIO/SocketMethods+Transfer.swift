import Glibc
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

/// The places of the stack: the socket and its arguments, then what a function that waits keeps.
private enum Slot {
  static let argument = 2
  static let address = 3
  /// How much of the data was written.
  static let written = 3
}

extension XPIOLibrary {
  /// `read` and `write`.
  func addTransfers(_ call: LuaCall) {
    call.setFunction("try_read") { [self] (call) throws(LuaFailure) in
      try read(call, blocks: false)
    }
    call.setFunction("read") { [self] (call) throws(LuaFailure) in try read(call, blocks: true) }
    call.setFunction("try_write") { [self] (call) throws(LuaFailure) in try tryWrite(call) }
    call.setFunction("write") { [self] (call) throws(LuaFailure) in try write(call) }
  }

  @inline(__always)
  private func read(_ call: LuaCall, blocks: Bool) throws(LuaFailure) -> LuaOutcome {
    let socket = try sockets.check(call, at: 1)
    let size = try call.size(at: Slot.argument)
    guard size > 0 else {
      call.push("")
      return .results(1)
    }
    if blocks, let outcome = giveWay(call, arguments: Slot.argument) { return outcome }
    let room = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(size, buffer.count)])
    switch socket.pointee.read(into: room) {
    case .moved(0) where socket.pointee.kind != .datagram:
      call.pushNil()
      return .results(1)
    case .moved(let count):
      if count < room.count, socket.pointee.kind == .stream {
        socket.pointee.handle.markUnready(.read, at: clock.tick())
      }
      call.push(UnsafeRawBufferPointer(rebasing: room[..<count]))
      return .results(1)
    case .unready: socket.pointee.handle.markUnready(.read, at: clock.tick())
    case .again: break
    case .failed(let error): return call.pushFailure(error)
    }
    guard blocks else { return call.pushRetry() }
    call.count = Slot.argument
    return try suspend(call, socket.handle, .read, in: "read")
  }

  /// Writes once, and marks the socket when it is full.
  @inline(__always)
  private func write(
    _ bytes: UnsafeRawBufferPointer, to socket: UnsafeMutablePointer<SocketObject>
  ) -> Attempt {
    let attempt = socket.pointee.write(bytes)
    switch attempt {
    case .moved(let count) where count < bytes.count && socket.pointee.kind == .stream:
      socket.pointee.handle.markUnready(.write, at: clock.tick())
    case .unready: socket.pointee.handle.markUnready(.write, at: clock.tick())
    case .moved, .again, .failed: break
    }
    return attempt
  }

  private func tryWrite(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try sockets.check(call, at: 1)
    switch write(try call.bytes(at: Slot.argument), to: socket) {
    case .moved(let count):
      call.push(count)
      return .results(1)
    case .unready, .again: return call.pushRetry()
    case .failed(let error): return call.pushFailure(error)
    }
  }

  /// Writes all of it.
  private func write(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try sockets.check(call, at: 1)
    let bytes = try call.bytes(at: Slot.argument)
    if let outcome = giveWay(call, arguments: Slot.argument) { return outcome }
    var written = call.phase == .resumed ? call.integerIfInteger(at: Slot.written) ?? 0 : 0
    written = max(0, min(written, bytes.count))
    // An empty datagram is one, too.
    while written < bytes.count || socket.pointee.kind == .datagram {
      switch write(UnsafeRawBufferPointer(rebasing: bytes[written...]), to: socket) {
      case .moved(let count):
        written += count
        if socket.pointee.kind == .datagram {
          call.push(written)
          return .results(1)
        }
      case .failed(let error): return call.pushFailure(error)
      case .unready, .again:
        call.count = Slot.argument
        call.push(written)
        return try suspend(call, socket.handle, .write, in: "write")
      }
    }
    call.push(written)
    return .results(1)
  }

  // MARK: Datagrams

  /// `recvfrom` and `sendto`.
  func addDatagrams(_ call: LuaCall) {
    call.setFunction("try_recvfrom") { [self] (call) throws(LuaFailure) in
      try receiveFrom(call, blocks: false)
    }
    call.setFunction("recvfrom") { [self] (call) throws(LuaFailure) in
      try receiveFrom(call, blocks: true)
    }
    call.setFunction("try_sendto") { [self] (call) throws(LuaFailure) in
      try sendTo(call, blocks: false)
    }
    call.setFunction("sendto") { [self] (call) throws(LuaFailure) in
      try sendTo(call, blocks: true)
    }
  }

  /// `recvfrom(size)`: a datagram and its sender.
  private func receiveFrom(_ call: LuaCall, blocks: Bool) throws(LuaFailure) -> LuaOutcome {
    let socket = try sockets.check(call, at: 1)
    let size = try call.size(at: Slot.argument)
    guard size > 0 else {
      throw call.argumentFailure(Slot.argument, "a size of 0 would throw the datagram away")
    }
    if blocks, let outcome = giveWay(call, arguments: Slot.argument) { return outcome }
    let room = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(size, buffer.count)])
    var sender = SocketAddress.none
    switch socket.pointee.socket.receive(into: room, from: &sender) {
    case .moved(0) where socket.pointee.kind == .stream:
      call.pushNil()
      return .results(1)
    case .moved(let count):
      call.push(UnsafeRawBufferPointer(rebasing: room[..<count]))
      // On a connection, and from a Unix socket without a name, the sender has no address.
      if sender.family == AF_UNSPEC { call.pushNil() } else { call.push(sender) }
      return .results(2)
    case .failed(let error): return call.pushFailure(error)
    case .wouldBlock: break
    }
    socket.pointee.handle.markUnready(.read, at: clock.tick())
    guard blocks else { return call.pushRetry() }
    call.count = Slot.argument
    return try suspend(call, socket.handle, .read, in: "recvfrom")
  }

  /// `sendto(data, address)`.
  private func sendTo(_ call: LuaCall, blocks: Bool) throws(LuaFailure) -> LuaOutcome {
    let socket = try sockets.check(call, at: 1)
    let bytes = try call.bytes(at: Slot.argument)
    guard let address = AddressFormat.parse(try call.bytes(at: Slot.address)) else {
      return call.pushFailure("xpio: mal-formed address argument")
    }
    if blocks, let outcome = giveWay(call, arguments: Slot.address) { return outcome }
    do throws(Errno) {
      try become(address.family, socket)
    } catch {
      return call.pushFailure(error)
    }
    switch socket.pointee.socket.send(bytes, to: address) {
    case .moved(let count):
      socket.pointee.settle()
      call.push(count)
      return .results(1)
    case .failed(let error): return call.pushFailure(error)
    case .wouldBlock: break
    }
    socket.pointee.handle.markUnready(.write, at: clock.tick())
    guard blocks else { return call.pushRetry() }
    call.count = Slot.address
    return try suspend(call, socket.handle, .write, in: "sendto")
  }
}
