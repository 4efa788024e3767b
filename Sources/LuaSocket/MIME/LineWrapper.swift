/// Breaks text into lines of limited length. Lines in the text end with a newline, wherever a
/// carriage return is; lines in the result with CRLF.
package struct LineWrapper {
  /// How many bytes the line in work has room for.
  package private(set) var left: Int
  private let length: Int

  /// - Parameters:
  ///   - left: how many bytes the first line has room for.
  ///   - length: how many bytes the others have room for.
  package init(left: Int, length: Int) {
    self.left = left
    self.length = length
  }

  /// Writes the text that follows.
  package mutating func wrap(
    _ text: UnsafeRawBufferPointer, into output: inout MIMEOutput
  ) throws(MIMEOutput.TooLarge) {
    var rest = text[...]
    while !rest.isEmpty {
      let run = rest.upToLineBreak
      try put(run, into: &output)
      rest = rest[run.endIndex...]
      guard let lineBreak = rest.popFirst() else { return }
      if lineBreak == UInt8(ascii: "\n") { try endLine(into: &output) }
    }
  }

  /// Writes a run without line breaks.
  private mutating func put(
    _ run: Slice<UnsafeRawBufferPointer>, into output: inout MIMEOutput
  ) throws(MIMEOutput.TooLarge) {
    var rest = run
    while !rest.isEmpty {
      if left <= 0 { try endLine(into: &output) }
      // A line has one byte, however short it should be.
      let part = rest.prefix(max(left, 1))
      try output.append(part)
      left -= part.count
      rest = rest[part.endIndex...]
    }
  }

  private mutating func endLine(into output: inout MIMEOutput) throws(MIMEOutput.TooLarge) {
    try output.append("\r\n")
    left = length
  }
}
