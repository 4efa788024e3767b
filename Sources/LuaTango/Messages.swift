import LuaCodec
import LuaConnection
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
    // After a small message the trampoline's check is enough.
    if body.count > 1024, call.isExhausted { throw shortage(call) }
  }

  /// Memory was lacking, so values are missing.
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
  /// The place of the value that is written next; after a failure, of the one that could not be
  /// written.
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

/// Messages that are collected to be sent.
struct MessageOutput: ~Copyable {
  /// Its buffer is where messages of all formats are collected.
  var writer = TangoTextWriter()
  let limits: RPCLimits
  /// Whether each message is preceded by its length.
  private let isFramed: Bool
  let spare: SpareBuffer

  init(limits: RPCLimits, isFramed: Bool, spare: SpareBuffer) {
    self.limits = limits
    self.isFramed = isFramed
    self.spare = spare
  }

  /// Bytes that wait.
  var count: Int { writer.buffer.count }
  var isEmpty: Bool { writer.buffer.isEmpty }

  /// Collects a message; nothing is left of it when that fails.
  @inline(__always)
  mutating func collect<Content: MessageContent>(
    _ format: MessageFormat, _ content: inout Content
  ) throws(SerializationFailure) {
    spare.lend(to: &writer.buffer)
    if format == .text {
      try Self.collect(&writer, &content, limits, isFramed)
    } else {
      try collectOther(format, &content)
    }
  }

  @inline(never)
  private mutating func collectOther<Content: MessageContent>(
    _ format: MessageFormat, _ content: inout Content
  ) throws(SerializationFailure) {
    if format == .messagePack {
      var other = MessagePackWriter()
      swap(&other.buffer, &writer.buffer)
      defer { swap(&other.buffer, &writer.buffer) }
      try Self.collect(&other, &content, limits, isFramed)
    } else {
      var other = JSONWriter()
      swap(&other.buffer, &writer.buffer)
      defer { swap(&other.buffer, &writer.buffer) }
      try Self.collect(&other, &content, limits, isFramed)
    }
  }

  @inline(__always)
  private static func collect<Encoder: MessageEncoder & ~Copyable, Content: MessageContent>(
    _ encoder: inout Encoder, _ content: inout Content, _ limits: RPCLimits, _ isFramed: Bool
  ) throws(SerializationFailure) {
    let start = encoder.buffer.count
    guard isFramed else {
      do throws(SerializationFailure) {
        try content.write(to: &encoder)
      } catch {
        encoder.buffer.truncate(to: start)
        encoder.breakOff()
        throw error
      }
      if encoder.buffer.lacksMemory || encoder.buffer.count - start > limits.frameBytes {
        throw tooLong(&encoder, start, limits)
      }
      return
    }
    let frame = LengthLineFraming.open(in: &encoder.buffer)
    do throws(SerializationFailure) {
      try content.write(to: &encoder)
    } catch {
      LengthLineFraming.drop(frame, from: &encoder.buffer)
      encoder.breakOff()
      throw error
    }
    if LengthLineFraming.close(frame, in: &encoder.buffer) > limits.frameBytes {
      throw tooLong(&encoder, start, limits)
    }
  }

  /// Removes the message from `start` on, for which there is no room or no memory.
  private static func tooLong<Encoder: MessageEncoder & ~Copyable>(
    _ encoder: inout Encoder, _ start: Int, _ limits: RPCLimits
  ) -> SerializationFailure {
    let lacksMemory = encoder.buffer.lacksMemory
    encoder.buffer.truncate(to: start)
    return lacksMemory ? .memory : .size(limit: limits.frameBytes)
  }

  /// Collects the answer that a request could not be carried out; whether there was memory for it.
  @discardableResult
  mutating func collect(error text: String, _ format: MessageFormat) -> Bool {
    var content = ErrorMessage(text: text)
    do throws(SerializationFailure) {
      try collect(format, &content)
      return true
    } catch {
      return false
    }
  }

  /// Collects a message that is there already.
  mutating func collect(body: UnsafeRawBufferPointer) throws(SerializationFailure) {
    var content = RawMessage(body: body)
    try collect(.text, &content)
  }

  /// Moves all that another one has collected behind what waits here; whether there was memory.
  mutating func takeAll(from other: inout MessageOutput) -> Bool {
    if isEmpty {
      swap(&writer.buffer, &other.writer.buffer)
    } else {
      let before = count
      other.writer.buffer.withUnsafeBytes { writer.buffer.append($0) }
      guard !writer.buffer.lacksMemory else {
        writer.buffer.truncate(to: before)
        return false
      }
      other.writer.buffer.removeFirst(other.count)
    }
    spare.giveBack(&other.writer.buffer)
    return true
  }

  /// Forgets all that waits.
  mutating func release() { writer.buffer.release() }
}
