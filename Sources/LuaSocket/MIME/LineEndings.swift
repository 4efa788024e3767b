/// Gives all lines of a text the same end, whatever the text has: carriage return, newline, or both
/// in either order.
package struct LineEndConverter {
  /// The carriage return or newline that the text so far ended with and that may be one half of a
  /// line end; any other number when there is none.
  package private(set) var last: Int32
  private let marker: UnsafeRawBufferPointer

  /// - Parameters:
  ///   - last: ``last`` after the text before, 0 at the beginning.
  ///   - marker: the line end; must live as long as the converter.
  package init(last: Int32, marker: UnsafeRawBufferPointer) {
    self.last = last
    self.marker = marker
  }

  /// Writes the text that follows.
  package mutating func convert(
    _ text: UnsafeRawBufferPointer, into output: inout MIMEOutput
  ) throws(MIMEOutput.TooLarge) {
    var rest = text[...]
    while !rest.isEmpty {
      let run = rest.upToLineBreak
      if !run.isEmpty {
        try output.append(run)
        last = 0
      }
      rest = rest[run.endIndex...]
      if let lineBreak = rest.popFirst() { try convert(lineBreak, into: &output) }
    }
  }

  /// Two different ones are one line end, two equal ones are two.
  private mutating func convert(
    _ lineBreak: UInt8, into output: inout MIMEOutput
  ) throws(MIMEOutput.TooLarge) {
    let isSecond = last == 10 || last == 13
    if !isSecond || last == lineBreak { try output.append(marker) }
    last = isSecond ? 0 : Int32(lineBreak)
  }
}
