/// MessagePack, a binary form of the values that JSON has.
///
/// Source: https://github.com/msgpack/msgpack/blob/master/spec.md. Strings of any bytes are written
/// as `str`, as other implementations for Lua do, and `bin` is read as a string, too. Floats have
/// 64 bits. A table whose keys are 1, 2, 3, ... is an array, as is an empty one; all others are
/// maps. Extensions are refused, for no Lua value stands for them, but references of tango/2
/// (``Tango2Reference``) where a sink takes them. Unsigned integers beyond 63 bits become floats.
///
/// A message is an array; a map with integers as keys is read as one, for that is what others make
/// of a list with holes.
public enum MessagePack {
  /// Reads a message and sends its elements to `sink`. Allocates nothing.
  ///
  /// - Parameters:
  ///   - bytes: One message and nothing else.
  ///   - limits: What the message may cost.
  ///   - sink: Receives the elements; after an error it has an unfinished part of the message.
  /// - Throws: ``CodecError`` when the bytes are not a message, or exceed a limit.
  @inlinable
  public static func readMessage<Sink: MessageSink & ~Copyable>(
    _ bytes: UnsafeRawBufferPointer, limits: CodecLimits = CodecLimits(), into sink: inout Sink
  ) throws(CodecError) {
    var parser = MessagePackParser(bytes, limits)
    try parser.message(into: &sink)
    try parser.requireEnd()
  }

  /// Reads a single value of any type and sends it to `sink`.
  ///
  /// - Parameters:
  ///   - bytes: One value and nothing else.
  ///   - limits: What the value may cost; the number of message elements does not matter here.
  ///   - sink: Receives the value; after an error it has an unfinished part of it.
  /// - Throws: ``CodecError`` when the bytes are not a value, or exceed a limit.
  @inlinable
  public static func readValue<Sink: ValueSink & ~Copyable>(
    _ bytes: UnsafeRawBufferPointer, limits: CodecLimits = CodecLimits(), into sink: inout Sink
  ) throws(CodecError) {
    var parser = MessagePackParser(bytes, limits)
    try parser.value(into: &sink)
    try parser.requireEnd()
  }
}
