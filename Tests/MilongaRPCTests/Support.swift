import MilongaRPC

/// The text of `value` as the writer has it.
func text(_ value: Value) -> String { String(decoding: bytes(value), as: UTF8.self) }

func bytes(_ value: Value) -> [UInt8] {
  var writer = TangoTextWriter()
  value.write(to: &writer)
  return writer.buffer.withUnsafeBytes { Array($0) }
}

/// The value that `text` stands for.
func value(
  _ text: some Sequence<UInt8>, limits: CodecLimits = CodecLimits()
) throws(CodecError) -> Value {
  var builder = ValueBuilder()
  let bytes = allocated(text)
  defer { bytes.deallocate() }
  try TangoText.readValue(bytes, limits: limits, into: &builder)
  return builder.value
}

func value(_ text: String, limits: CodecLimits = CodecLimits()) throws(CodecError) -> Value {
  try value(text.utf8, limits: limits)
}

/// The elements of the message that `text` stands for.
func message(
  _ text: some Sequence<UInt8>, limits: CodecLimits = CodecLimits()
) throws(CodecError) -> [Value] {
  var builder = ValueBuilder()
  let bytes = allocated(text)
  defer { bytes.deallocate() }
  try TangoText.readMessage(bytes, limits: limits, into: &builder)
  return builder.message
}

func message(_ text: String, limits: CodecLimits = CodecLimits()) throws(CodecError) -> [Value] {
  try message(text.utf8, limits: limits)
}

/// A copy of `bytes` in memory of just their size, where an address sanitizer sees what is beyond.
func allocated(_ bytes: some Sequence<UInt8>) -> UnsafeRawBufferPointer {
  let bytes = Array(bytes)
  let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
  memory.copyBytes(from: bytes)
  return UnsafeRawBufferPointer(memory)
}

/// The error of reading `text` as a value.
func valueError(_ text: String, limits: CodecLimits = CodecLimits()) -> CodecError? {
  do throws(CodecError) {
    _ = try value(text, limits: limits)
    return nil
  } catch {
    return error
  }
}

/// The error of reading `text` as a message.
func messageError(_ text: String, limits: CodecLimits = CodecLimits()) -> CodecError? {
  do throws(CodecError) {
    _ = try message(text, limits: limits)
    return nil
  } catch {
    return error
  }
}

extension OutputBuffer {
  var contents: [UInt8] { withUnsafeBytes { Array($0) } }
}

extension String {
  /// Gives `body` the UTF-8 bytes.
  func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try Array(utf8).withUnsafeBytes(body)
  }
}

/// Whether two values are the same to the last bit, except that all not-a-numbers are one.
func identical(_ a: Value, _ b: Value) -> Bool {
  switch (a, b) {
  case (.number(let a), .number(let b)):
    return a.isNaN && b.isNaN || a.bitPattern == b.bitPattern
  case (.table(let a), .table(let b)):
    return a.elements.count == b.elements.count && a.entries.count == b.entries.count
      && zip(a.elements, b.elements).allSatisfy(identical)
      && zip(a.entries, b.entries).allSatisfy {
        identical($0.key, $1.key) && identical($0.value, $1.value)
      }
  default: return a == b
  }
}
