import LuaCodec
import LuaConnection
import MilongaRPC

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

  /// Forgets all that waits.
  mutating func release() { writer.buffer.release() }
}
