/// JSON (RFC 8259), with what Lua's tables and lua-cjson make of it.
///
/// | Lua | JSON |
/// | --- | --- |
/// | a table whose keys are positive integers | an array, with `null` for those that are not there |
/// | any other table, an empty one | an object; keys that are numbers become strings |
/// | an integer, a float | a number without and with a point or an exponent, exact in either direction |
/// | nil, and what stands for it in a table | `null` |
///
/// Refused are infinity and NaN, other keys, and lists in which more than half of more than 10
/// places are empty. Strings may hold bytes that are not UTF-8, and are read with control
/// characters in them.
///
/// A message is an array.
public enum JSON {
  /// Reads a message and sends its elements to `sink`. Allocates nothing, except for strings of
  /// more than 1 KiB that contain escapes, and for floats of more than 15 digits.
  ///
  /// - Parameters:
  ///   - bytes: One array and nothing else.
  ///   - limits: What the message may cost.
  ///   - sink: Receives the elements; after an error it has an unfinished part of the message.
  /// - Throws: ``CodecError`` when the bytes are not a message, or exceed a limit.
  @inlinable
  public static func readMessage<Sink: MessageSink & ~Copyable>(
    _ bytes: UnsafeRawBufferPointer, limits: CodecLimits = CodecLimits(), into sink: inout Sink
  ) throws(CodecError) {
    var parser = JSONParser(bytes, limits)
    parser.skipSpace()
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
    var parser = JSONParser(bytes, limits)
    parser.skipSpace()
    try parser.value(into: &sink)
    try parser.requireEnd()
  }
}
