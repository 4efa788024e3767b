extension TangoText {
  /// Reads a message and sends its elements to `sink`.
  ///
  /// Reading allocates nothing, except for strings of more than 1 KiB that contain escapes, and for
  /// floats of more than 15 digits.
  ///
  /// - Parameters:
  ///   - bytes: The body of a frame, which holds a table and nothing else.
  ///   - limits: What the message may cost.
  ///   - sink: Receives the elements; after an error it has an unfinished part of the message.
  /// - Throws: ``CodecError`` when the bytes are not a message, or exceed a limit.
  @inlinable
  public static func readMessage<Sink: MessageSink & ~Copyable>(
    _ bytes: UnsafeRawBufferPointer,
    limits: CodecLimits = CodecLimits(),
    into sink: inout Sink
  ) throws(CodecError) {
    var parser = TangoTextParser(bytes, limits)
    parser.skipReturn()
    try parser.message(into: &sink)
    try parser.requireEnd()
  }

  /// Reads a single value of any type and sends it to `sink`.
  ///
  /// - Parameters:
  ///   - bytes: The text of one value and nothing else.
  ///   - limits: What the value may cost; the number of message elements does not matter here.
  ///   - sink: Receives the value; after an error it has an unfinished part of it.
  /// - Throws: ``CodecError`` when the bytes are not a value, or exceed a limit.
  @inlinable
  public static func readValue<Sink: ValueSink & ~Copyable>(
    _ bytes: UnsafeRawBufferPointer,
    limits: CodecLimits = CodecLimits(),
    into sink: inout Sink
  ) throws(CodecError) {
    var parser = TangoTextParser(bytes, limits)
    parser.skipReturn()
    try parser.value(into: &sink)
    try parser.requireEnd()
  }
}
