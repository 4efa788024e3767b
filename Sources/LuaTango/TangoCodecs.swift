import CMilongaLua
import CMilongaShims
import LuaCodec
import LuaConnection
import MilongaLua
import MilongaRPC

/// `tango.codec`: the formats that are built in, as functions that a program can call or give to a
/// server or client as `serialize` and `unserialize`. Servers and clients recognize them, and do
/// not call them.
final class TangoCodecs {
  enum Direction {
    case encode, decode
  }

  private final class Function {
    let format: MessageFormat
    let direction: Direction
    let identity: UnsafeRawPointer
    /// The function is known by its address, so it must stay.
    private let function: LuaStored

    /// Takes the function on top of the stack, which stays there.
    init(_ call: LuaCall, _ format: MessageFormat, _ direction: Direction) {
      self.format = format
      self.direction = direction
      identity = call.identity(at: -1)!
      function = LuaStored(call, at: -1)
    }
  }

  private var functions: [Function] = []

  /// Pushes the table `tango.codec`.
  func push(_ call: LuaCall) {
    call.pushTable(fields: 3)
    for (name, format) in Self.formats {
      call.pushTable(fields: 3)
      add(call, "encode", format, .encode) { (call) throws(LuaFailure) in
        try Self.encode(call, format)
      }
      add(call, "decode", format, .decode) { (call) throws(LuaFailure) in
        try Self.decode(call, format)
      }
      if format != .text {
        lua_pushlightuserdata(call.state, nil)
        call.setField("null", of: -2)
      }
      call.setField(name, of: -2)
    }
  }

  private static let formats: [(StaticString, MessageFormat)] = [
    ("tango", .text), ("msgpack", .messagePack), ("json", .json),
  ]

  private func add(
    _ call: LuaCall, _ name: StaticString, _ format: MessageFormat, _ direction: Direction,
    _ body: @escaping LuaBody
  ) {
    call.push(function: body)
    functions.append(Function(call, format, direction))
    call.setField(name, of: -2)
  }

  /// The format whose function the field holds; nil for other functions and for none.
  func format(
    _ table: ConfigurationTable, _ field: StaticString, of direction: Direction
  ) -> MessageFormat? {
    guard table.push(field) else { return nil }
    defer { table.call.pop() }
    guard let identity = table.call.identity(at: -1) else { return nil }
    return functions.first { $0.identity == identity && $0.direction == direction }?.format
  }

  // MARK: The functions

  /// A document is as large as memory allows; what is nested deeper would not come through tango
  /// either.
  private static let limits = CodecLimits(values: .max, messageElements: .max)

  /// `encode(value)`.
  private static func encode(
    _ call: LuaCall, _ format: MessageFormat
  ) throws(LuaFailure) -> LuaOutcome {
    guard call.count > 0 else { throw call.argumentFailure(1, "value expected") }
    let result: SerializationFailure?
    switch format {
    case .text: result = encode(call, TangoTextWriter())
    case .messagePack: result = encode(call, MessagePackWriter())
    case .json: result = encode(call, JSONWriter())
    }
    if result == .memory { throw call.memoryFailure() }
    if let result { throw call.failure("tango.codec: \(result)") }
    return .results(1)
  }

  private static func encode<Encoder: MessageEncoder & ~Copyable>(
    _ call: LuaCall, _ encoder: consuming Encoder
  ) -> SerializationFailure? {
    let top = call.count
    var encoder = encoder
    let source = LuaStackSource(call, depthLimit: limits.depth)
    let most = call.memoryLimit
    do throws(SerializationFailure) {
      try source.write(1, to: &encoder, isFull: { $0.buffer.count > most ? most : nil })
      if let refusal = encoder.refusal { throw .refused(refusal) }
      if encoder.buffer.lacksMemory { throw .memory }
    } catch {
      call.count = top
      return error
    }
    encoder.buffer.withUnsafeBytes { call.push($0) }
    return nil
  }

  /// `decode(text)`.
  private static func decode(
    _ call: LuaCall, _ format: MessageFormat
  ) throws(LuaFailure) -> LuaOutcome {
    guard call.type(at: 1) == .string else {
      throw call.typeFailure(argument: 1, expected: "string")
    }
    let bytes = try call.bytes(at: 1)
    do throws(CodecError) {
      switch format {
      case .text:
        var sink = LuaStackSink(call)
        try TangoText.readValue(bytes, limits: limits, into: &sink)
      case .messagePack:
        var sink = LuaStackSink(call)
        try MessagePack.readValue(bytes, limits: limits, into: &sink)
      case .json:
        var sink = LuaJSONSink(call, isMessage: false)
        try JSON.readValue(bytes, limits: limits, into: &sink)
      }
    } catch {
      call.count = 1
      throw call.failure("tango.codec: \(error)")
    }
    return .results(1)
  }
}

/// How messages are written and read: in formats that are built in, or by a program's own
/// functions.
struct MessageCodec: ~Copyable {
  /// The program's own functions; empty where a built-in format is in their place.
  private(set) var serialize = LuaStored()
  private(set) var unserialize = LuaStored()
  /// The formats in their place.
  private(set) var writes = MessageFormat.text
  private(set) var reads = MessageFormat.text

  init(_ table: ConfigurationTable, _ codecs: TangoCodecs) throws(LuaFailure) {
    if let format = codecs.format(table, "serialize", of: .encode) {
      writes = format
    } else {
      serialize = try table.function("serialize")
    }
    if let format = codecs.format(table, "unserialize", of: .decode) {
      reads = format
    } else {
      unserialize = try table.function("unserialize")
    }
  }
}
