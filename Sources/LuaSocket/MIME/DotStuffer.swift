import MilongaIO

/// Doubles the dot at the beginning of a line, as SMTP wants it (RFC 5321, section 4.5.2): a line
/// with nothing but a dot ends a message.
package struct DotStuffer {
  /// What the text so far ended with.
  package enum State: Int, Sendable {
    case insideLine, afterCarriageReturn, afterLineEnd
  }

  package private(set) var state: State

  /// - Parameter state: ``state`` after the text before, `afterLineEnd` at the beginning.
  package init(state: State) { self.state = state }

  /// Writes the text that follows.
  package mutating func stuff(
    _ text: UnsafeRawBufferPointer, into output: inout MIMEOutput
  ) throws(MIMEOutput.TooLarge) {
    guard let last = text.last else { return }
    if state == .afterLineEnd, text[0] == dot { try output.append(".") }
    var written = 0
    var lineEnd = false
    var position = 0
    while let found = text.firstIndex(ofByte: newline, from: position) {
      position = found + 1
      lineEnd = found > 0 ? text[found - 1] == carriageReturn : state == .afterCarriageReturn
      if lineEnd, position < text.count, text[position] == dot {
        try output.append(text[written..<position])
        try output.append(".")
        written = position
      }
    }
    try output.append(text[written...])
    switch last {
    case carriageReturn: state = .afterCarriageReturn
    case newline where lineEnd: state = .afterLineEnd
    default: state = .insideLine
    }
  }
}

private let dot = UInt8(ascii: ".")
private let newline = UInt8(ascii: "\n")
private let carriageReturn = UInt8(ascii: "\r")
