import CMilongaLua
import MilongaIO
import MilongaLua

extension SocketModule {
  /// Pushes what `require 'socket.buffered'` returns: a function for `socket/wire.lua`, which reads
  /// lines of limited length. `buffered(socket, most)` takes what was received and not yet handed
  /// out, up to the end of the line, and at most so many bytes; it never waits. It returns nil for
  /// all but TCP clients of ours, and tables made of them.
  package static func openBuffered(_ call: LuaCall) {
    let library = SocketLibrary.of(call)
    call.push { (call) throws(LuaFailure) in
      let most = max(0, try call.integer(at: 2))
      library.unwrap(call, at: 1)
      guard let socket = library.tcp.client.payload(call, at: 1) else {
        call.pushNil()
        return .results(1)
      }
      let bytes = socket.pointee.buffer.bytes
      let available = UnsafeRawBufferPointer(rebasing: bytes[..<min(bytes.count, most)])
      let newline = available.firstIndex(ofByte: UInt8(ascii: "\n"))
      let count = newline.map { $0 + 1 } ?? available.count
      if count == 0 {
        call.push("")
      } else {
        socket.pointee.take(.count(count), pool: library.pool) { call.push($0) }
      }
      return .results(1)
    }
  }
}

extension SocketLibrary {
  /// Puts the socket in the place of a table that another module has made of it.
  fileprivate func unwrap(_ call: LuaCall, at index: Int) {
    guard call.type(at: index) == .table, lua_getmetatable(call.state, Int32(index)) != 0 else {
      return
    }
    let metatable = call.identity(at: -1)
    call.pop()
    guard metatable == wrapperMetatable else { return }
    call.pushField("socket", of: index)
    call.replace(at: index)
  }
}
