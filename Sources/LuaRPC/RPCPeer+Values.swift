import CMilongaLua
import CMilongaShims
import LuaCodec
import MilongaLua
import MilongaRPC

// Values of messages, among which there may be objects by reference.
extension RPCPeer {
  /// Writes values of the stack as values of a message.
  ///
  /// - Parameters:
  ///   - types: where the table of the values' declared types is; nil or 0 for none.
  ///   - failedAt: set to the place of the value that cannot be sent.
  @inline(__always)
  func write(
    _ call: LuaCall, from first: Int, to last: Int, types: Int = 0, failedAt: inout Int,
    _ writer: inout LuatobinWriter
  ) throws(GraphFailure) {
    let source = LuaGraphSource(
      call, depthLimit: configuration.limits.depth,
      sizeLimit: writer.buffer.count + configuration.limits.frameBytes,
      sendsBytecode: configuration.sendsBytecode)
    var index = first
    while index <= last {
      failedAt = index
      let type = types == 0 ? 0 : pushType(call, types, index - first + 1)
      if try !writeObject(call, index, type: type, &writer) {
        try source.write(index, to: &writer)
      }
      index += 1
    }
  }

  /// Pushes the name of the type that was declared for a value, if there is one.
  ///
  /// - Returns: its place on the stack, 0 when nothing was pushed.
  private func pushType(_ call: LuaCall, _ types: Int, _ position: Int) -> Int {
    milonga_rawgeti(call.state, Int32(types), lua_Integer(position))
    if call.type(at: -1) == .string { return call.count }
    call.pop()
    return 0
  }

  /// Writes the value by reference, if it is an object that is sent so. The type, if there is one,
  /// is on top, and is popped.
  @inline(__always)
  private func writeObject(
    _ call: LuaCall, _ index: Int, type: Int, _ writer: inout LuatobinWriter
  ) throws(GraphFailure) -> Bool {
    switch call.type(at: index) {
    case .nil, .none, .boolean, .number, .string:
      if type != 0 { call.pop() }
      return false
    default:
      return try writeReference(call, index, type: type, &writer)
    }
  }

  private func writeReference(
    _ call: LuaCall, _ index: Int, type: Int, _ writer: inout LuatobinWriter
  ) throws(GraphFailure) -> Bool {
    defer { if type != 0 { call.count = type - 1 } }
    if let object = library.objects.payload(call, at: index) {
      guard object.pointee.peer === self else {
        throw GraphFailure(
          place: "", reason: "a remote object of another connection cannot be sent on this one")
      }
      writer.taggedID(PeerObject.ofReceiver, object.pointee.id)
      return true
    }
    guard let id = try localID(call, index, type: type) else { return false }
    writer.taggedID(PeerObject.ofSender, id)
    return true
  }
}
