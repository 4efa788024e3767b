import MilongaLua

/// The Lua module `mime.core`: the low-level filters of LuaSocket's `mime`, which take a chunk and
/// return what it becomes, with what the next call has to know.
package enum MIMEModule {
  /// Pushes the module's table: what `require 'mime.core'` returns.
  package static func open(_ call: LuaCall) {
    call.pushTable(fields: 9)
    call.push("MIME 1.0.3")
    call.setField("_VERSION", of: -2)
    addEncodings(call)
    addLineFunctions(call)
  }

  private static func addEncodings(_ call: LuaCall) {
    call.setFunction("b64") { (call) throws(LuaFailure) in
      try translate(call, with: Base64Encoder())
    }
    call.setFunction("unb64") { (call) throws(LuaFailure) in
      try translate(call, with: Base64Decoder())
    }
    call.setFunction("qp") { (call) throws(LuaFailure) in
      // Looked at in this order by LuaSocket: a wrong third argument is told before a wrong second.
      if !call.isNoneOrNil(at: 1) { _ = try call.bytes(at: 1) }
      return try translate(call, with: QuotedPrintableEncoder(marker: try marker(call)))
    }
    call.setFunction("unqp") { (call) throws(LuaFailure) in
      try translate(call, with: QuotedPrintableDecoder())
    }
  }

  private static func addLineFunctions(_ call: LuaCall) {
    call.setFunction("wrp") { (call) throws(LuaFailure) in
      try wrap(call, atEnd: "\r\n") { (left, length, text, output) throws(MIMEOutput.TooLarge) in
        var wrapper = LineWrapper(left: left, length: length)
        try wrapper.wrap(text, into: &output)
        return wrapper.left
      }
    }
    call.setFunction("qpwrp") { (call) throws(LuaFailure) in
      try wrap(call, atEnd: "=\r\n") { (left, length, text, output) throws(MIMEOutput.TooLarge) in
        var wrapper = QuotedPrintableWrapper(left: left, length: length)
        try wrapper.wrap(text, into: &output)
        return wrapper.left
      }
    }
    call.setFunction("eol") { (call) throws(LuaFailure) in try convertLineEnds(call) }
    call.setFunction("dot") { (call) throws(LuaFailure) in try stuffDots(call) }
  }

  // MARK: Functions

  /// `A, B = f(C [, D])`: A is what could be translated of C and D together, B the rest as it was.
  /// Without D nothing follows: all is translated, and B is nil.
  private static func translate<Codec: MIMECodec>(
    _ call: LuaCall, with codec: Codec
  ) throws(LuaFailure) -> LuaOutcome {
    guard let first = try optionalBytes(call, at: 1) else {
      call.pushNil()
      call.pushNil()
      return .results(2)
    }
    let second = try optionalBytes(call, at: 2)
    var codec = codec
    let size = first.count + (second?.count ?? 0)
    return try write(call, expected: size) { output throws(MIMEOutput.TooLarge) in
      try codec.translate(first, into: &output)
      guard let second else {
        try codec.finish(into: &output)
        return
      }
      try codec.translate(second, into: &output)
    } push: { bytes in
      guard second == nil else {
        call.push(bytes)
        codec.held.withUnsafeBytes { call.push($0) }
        return
      }
      // LuaSocket looks at a C string here: what begins with NUL is empty, too.
      if bytes.isEmpty || Codec.self == QuotedPrintableDecoder.self && bytes[0] == 0 {
        call.pushNil()
      } else {
        call.push(bytes)
      }
      call.pushNil()
    }
  }

  /// `A, n = f(left, B [, length])`: A is B in lines of at most `length` bytes, the first of
  /// `left`; n is how many bytes the last line has left. Without B that line is ended when it has
  /// any.
  private static func wrap(
    _ call: LuaCall, atEnd lineEnd: StaticString,
    _ wrap: (Int, Int, UnsafeRawBufferPointer, inout MIMEOutput) throws(MIMEOutput.TooLarge) -> Int
  ) throws(LuaFailure) -> LuaOutcome {
    var left = Int(Int32(clamping: try call.number(at: 1).clampedToInt))
    let text = try optionalBytes(call, at: 2)
    let length = Int(Int32(clamping: try call.number(at: 3, default: 76).clampedToInt))
    guard let text else {
      if left < length { call.push(lineEnd) } else { call.pushNil() }
      call.push(Double(length))
      return .results(2)
    }
    return try write(call, expected: text.count + text.count / 16) {
      output throws(MIMEOutput.TooLarge) in
      left = try wrap(left, length, text, &output)
    } push: { bytes in
      call.push(bytes)
      call.push(Double(left))
    }
  }

  /// `A, n = eol(context, B [, marker])`: A is B with all line ends replaced, n the next context, 0
  /// at the beginning.
  private static func convertLineEnds(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    // An int in C, which keeps the low half.
    let context = Int32(truncatingIfNeeded: try call.integer(at: 1))
    let text = try optionalBytes(call, at: 2)
    var converter = LineEndConverter(last: context, marker: try marker(call))
    guard let text else {
      call.pushNil()
      call.push(0.0)
      return .results(2)
    }
    return try write(call, expected: text.count) { output throws(MIMEOutput.TooLarge) in
      try converter.convert(text, into: &output)
    } push: { bytes in
      call.push(bytes)
      call.push(Double(converter.last))
    }
  }

  /// `A, n = dot(state, B)`: A is B with dots doubled, n the next state, 2 at the beginning.
  private static func stuffDots(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let number = try call.number(at: 1)
    guard let text = try optionalBytes(call, at: 2) else {
      call.pushNil()
      call.push(2.0)
      return .results(2)
    }
    // Nothing changes the state without text, not even one that means nothing.
    let state = number >= 1 ? min(number.rounded(.towardZero), 0x1p64) : 0
    var stuffer = DotStuffer(state: .init(rawValue: state.clampedToInt) ?? .insideLine)
    return try write(call, expected: text.count + text.count / 64) {
      output throws(MIMEOutput.TooLarge) in
      try stuffer.stuff(text, into: &output)
    } push: { bytes in
      call.push(bytes)
      call.push(text.isEmpty ? state : Double(stuffer.state.rawValue))
    }
  }

  // MARK: Arguments and results

  private static func optionalBytes(
    _ call: LuaCall, at index: Int
  ) throws(LuaFailure) -> UnsafeRawBufferPointer? {
    call.isNoneOrNil(at: index) ? nil : try call.bytes(at: index)
  }

  /// The third argument, CRLF without one. It is a C string in LuaSocket, which ends before a NUL.
  private static func marker(_ call: LuaCall) throws(LuaFailure) -> UnsafeRawBufferPointer {
    guard let bytes = try optionalBytes(call, at: 3) else {
      let lineEnd: StaticString = "\r\n"
      return UnsafeRawBufferPointer(start: lineEnd.utf8Start, count: lineEnd.utf8CodeUnitCount)
    }
    return UnsafeRawBufferPointer(rebasing: bytes.prefix { $0 != 0 })
  }

  /// Runs `body`, which writes a result, and `push`, which pushes the two values to return.
  private static func write(
    _ call: LuaCall, expected: Int,
    _ body: (inout MIMEOutput) throws(MIMEOutput.TooLarge) -> Void,
    push: (UnsafeRawBufferPointer) -> Void
  ) throws(LuaFailure) -> LuaOutcome {
    var output = MIMEOutput(limit: call.memoryLimit, expected: expected)
    do throws(MIMEOutput.TooLarge) {
      try body(&output)
    } catch {
      throw call.memoryFailure()
    }
    output.withUnsafeBytes(push)
    return .results(2)
  }
}
