/// Why a reader refused its input: the input breaks the format, or exceeds a limit.
public struct CodecError: Error, Sendable, Hashable {
  /// What sort of failure it is.
  public enum Kind: Sendable, Hashable {
    /// The input is not in the format.
    case syntax

    /// The input may be fine, but exceeds one of ``CodecLimits``.
    case limit

    /// There is no memory for the values.
    case memory
  }

  // One word, so that the functions which may throw it, and recurse, need little of the stack.
  private indirect enum Content: Sendable, Hashable {
    case content(kind: Kind, offset: Int, expected: String, found: String)
    case memory
  }

  private let content: Content

  /// There is no memory for the values.
  public static var memory: CodecError { CodecError(.memory) }

  private init(_ content: Content) { self.content = content }

  /// An error at `offset` of `input`, from which it quotes.
  init(_ kind: Kind, at offset: Int, of input: UnsafeRawBufferPointer, expected: String) {
    let found = offset < input.count ? quoted(input[offset...]) : "the end of the text"
    content = .content(kind: kind, offset: offset, expected: expected, found: found)
  }
}

extension CodecError {
  /// What sort of failure it is.
  public var kind: Kind {
    switch content {
    case .content(let kind, _, _, _): kind
    case .memory: .memory
    }
  }

  /// Where the offending input starts, in bytes from the start of the body.
  public var offset: Int {
    switch content {
    case .content(_, let offset, _, _): offset
    case .memory: 0
    }
  }

  /// What the reader can accept at this place, as a phrase.
  public var expected: String {
    switch content {
    case .content(_, _, let expected, _): expected
    case .memory: "memory"
    }
  }

  /// The start of the offending input, quoted and printable, or a phrase when there is none.
  public var found: String {
    switch content {
    case .content(_, _, _, let found): found
    case .memory: "none"
    }
  }
}

extension CodecError: CustomStringConvertible {
  /// One sentence for a log or a user.
  public var description: String {
    if case .memory = content { return "not enough memory" }
    return "expected \(expected) at byte \(offset), found \(found)"
  }
}

/// Up to 20 bytes in double quotes, with everything escaped that could upset a terminal or a log.
private func quoted(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
  var text = "\""
  for byte in bytes.prefix(20) {
    switch byte {
    case UInt8(ascii: "\""): text += "\\\""
    case UInt8(ascii: "\\"): text += "\\\\"
    case UInt8(ascii: "\n"): text += "\\n"
    case UInt8(ascii: "\r"): text += "\\r"
    case UInt8(ascii: "\t"): text += "\\t"
    case 0x20...0x7E: text.unicodeScalars.append(Unicode.Scalar(byte))
    default: text += (byte < 16 ? "\\x0" : "\\x") + String(byte, radix: 16)
    }
  }
  return text + (bytes.count > 20 ? "...\"" : "\"")
}
