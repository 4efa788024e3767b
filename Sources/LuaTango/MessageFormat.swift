import LuaCodec
import MilongaLua
import MilongaRPC

/// The formats of messages that are built in.
enum MessageFormat {
  /// tango's own, a Lua table constructor.
  case text
  case messagePack
  case json

  /// Reads a message onto the call's stack, an element after the other.
  @inline(__always)
  func read(
    _ body: UnsafeRawBufferPointer, limits: CodecLimits, _ call: LuaCall
  ) throws(CodecError) {
    if self == .text {
      var sink = LuaStackSink(call)
      try TangoText.readMessage(body, limits: limits, into: &sink)
    } else {
      try readOther(body, limits: limits, call)
    }
    // After a small message the trampoline's report will do.
    if body.count > 1024, call.isExhausted { throw shortage(call) }
  }

  /// The values are not what they should be.
  @inline(never)
  private func shortage(_ call: LuaCall) -> CodecError {
    _ = call.takeExhaustion()
    return .memory
  }

  @inline(never)
  private func readOther(
    _ body: UnsafeRawBufferPointer, limits: CodecLimits, _ call: LuaCall
  ) throws(CodecError) {
    if self == .messagePack {
      var sink = LuaStackSink(call)
      try MessagePack.readMessage(body, limits: limits, into: &sink)
    } else {
      var sink = LuaJSONSink(call, isMessage: true)
      try JSON.readMessage(body, limits: limits, into: &sink)
    }
  }
}

/// What a message is made of.
protocol MessageContent {
  /// Writes a whole message.
  mutating func write<Encoder: MessageEncoder & ~Copyable>(
    to encoder: inout Encoder
  ) throws(SerializationFailure)
}

/// Values of the stack, behind a status if it is an answer.
struct StackMessage: MessageContent {
  let call: LuaCall
  let status: Bool?
  /// The place of the value that comes next, at last of the one that could not be written.
  var index: Int
  /// The place of the last one.
  let last: Int
  let limits: RPCLimits

  @inline(__always)
  mutating func write<Encoder: MessageEncoder & ~Copyable>(
    to encoder: inout Encoder
  ) throws(SerializationFailure) {
    let source = LuaStackSource(call, depthLimit: limits.depth)
    let limit = limits.frameBytes
    let bound = encoder.buffer.count + limit
    var position = 1
    encoder.beginMessage(elements: last - index + (status == nil ? 1 : 2))
    if let status {
      encoder.beginElement(position)
      encoder.boolean(status)
      encoder.endElement(position)
      position = 2
    }
    while index <= last {
      encoder.beginElement(position)
      try source.write(
        index, to: &encoder, isFull: { $0.buffer.count > bound ? limit : nil })
      encoder.endElement(position)
      position += 1
      index += 1
    }
    encoder.endMessage()
    if let refusal = encoder.refusal { throw .refused(refusal) }
  }
}

/// The answer that a request could not be carried out.
struct ErrorMessage: MessageContent {
  let text: String

  mutating func write<Encoder: MessageEncoder & ~Copyable>(
    to encoder: inout Encoder
  ) throws(SerializationFailure) {
    encoder.beginMessage(elements: 2)
    encoder.beginElement(1)
    encoder.boolean(false)
    encoder.endElement(1)
    encoder.beginElement(2)
    var text = text
    text.withUTF8 { encoder.string(UnsafeRawBufferPointer($0)) }
    encoder.endElement(2)
    encoder.endMessage()
  }
}

/// Bytes that are a message already.
struct RawMessage: MessageContent {
  let body: UnsafeRawBufferPointer

  mutating func write<Encoder: MessageEncoder & ~Copyable>(
    to encoder: inout Encoder
  ) throws(SerializationFailure) {
    encoder.buffer.append(body)
  }
}
