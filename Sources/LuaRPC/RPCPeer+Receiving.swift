import CMilongaLua
import CMilongaShims
import LuaCodec
import LuaConnection
import MilongaIO
import MilongaLua
import MilongaRPC

extension RPCPeer {
  /// Why values could not be read.
  enum ReadFailure: Error {
    /// The bytes are no values: nothing that comes from this peer makes sense.
    case malformed(String)
    /// They may be values, but too many, or such as are not accepted.
    case refused(String)

    var text: String {
      switch self {
      case .malformed(let text), .refused(let text): text
      }
    }
  }

  /// Gives `body` the next event. While it runs the received bytes are not the socket's: reading
  /// may run finalizers, and these can close the socket.
  @inline(__always)
  func takeEvent<Result>(_ body: (LuaRPCSession<Caller>.Event) -> Result) -> Result {
    let buffer = stream.socket.pointee.buffer
    let event = session.next(in: buffer.bytes)
    let size: Int
    switch event {
    case .incomplete, .invalid: return body(event)
    case .call(_, let payload), .answer(_, _, let payload), .lateAnswer(let payload),
      .unknownAnswer(_, let payload):
      size = LuaRPCFraming.headerBytes + payload.count
    }
    stream.socket.pointee.buffer = ReceiveBuffer()
    reception.isReading = true
    reception.end = buffer.bytes.baseAddress.map { $0 + buffer.count }
    let result = body(event)
    reception.isReading = false
    if isOpen {
      stream.socket.pointee.buffer = buffer
      stream.consume(size)
    } else {
      var buffer = buffer
      buffer.release(to: library.sockets.pool)
    }
    return result
  }

  /// Reads the values of a payload onto the stack.
  ///
  /// - Parameter skipping: bytes in front of them.
  /// - Returns: how many there are.
  @inline(__always)
  func readValues(
    _ call: LuaCall, _ payload: UnsafeRawBufferPointer, skipping: Int = 0
  ) throws(ReadFailure) -> Int {
    try library.withReader(configuration.limits.codec) {
      (reader: inout LuatobinReader) throws(ReadFailure) in
      reader.begin(UnsafeRawBufferPointer(rebasing: payload[skipping...]))
      return try pushValues(call, from: &reader)
    }
  }

  /// Pushes all that is to be read; how many values it was.
  @inline(__always)
  private func pushValues(
    _ call: LuaCall, from reader: inout LuatobinReader
  ) throws(ReadFailure) -> Int {
    var sink = LuaGraphSink(
      call, functions: functions, environment: configuration.environment)
    defer { sink.endTopLevelValue() }
    var count = 0
    while let tag = reader.nextTag {
      guard count <= configuration.limits.arguments, sink.beginTopLevelValue() else {
        throw .refused("a message has more than \(configuration.limits.arguments) values")
      }
      var unknown: UInt32?
      do throws(CodecError) {
        switch tag {
        case PeerObject.ofSender: pushProxy(call, try reader.takeTaggedID())
        case PeerObject.ofReceiver:
          let id = try reader.takeTaggedID()
          if !pushObject(call, id) { unknown = id }
        default: try reader.readValue(into: &sink)
        }
      } catch {
        throw error.kind == .syntax ? .malformed("\(error)") : .refused("\(error)")
      }
      if let unknown { throw .refused("Unknown local object \(unknown)") }
      count += 1
    }
    if call.isExhausted, call.takeExhaustion() { throw .refused("\(CodecError.memory)") }
    if let refusal = sink.refusal { throw .refused(refusal) }
    if sink.hasFunctions { reception.hasFunctions = true }
    return count
  }

  /// Reads what is there.
  func receive(needed: Int, mayRead: Bool) -> StreamConnection.Progress {
    let progress = stream.receive(needed: needed, mayRead: mayRead)
    if case .wait = progress {
      let count = stream.received.count
      // A header that comes alone: the original sends header and payload separately, and with
      // Nagle's algorithm the payload stays there until the header is acknowledged.
      if count > 0, count <= LuaRPCFraming.headerBytes + 1 { reception.isSplit = true }
      // What was sent has taken the acknowledgement along.
      if count > 0 || reception.isSplit && !hasSent { stream.acknowledgeAtOnce() }
      hasSent = false
    }
    return progress
  }
}
