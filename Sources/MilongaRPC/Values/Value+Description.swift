extension Value: CustomStringConvertible {
  /// The value as a Lua literal, such as `{1,"two",three=3.0}`.
  ///
  /// When the bytes are not UTF-8 as a whole, all bytes beyond ASCII are written as `\ddd`.
  public var description: String {
    var writer = TangoTextWriter()
    write(to: &writer)
    return writer.buffer.withUnsafeBytes { bytes in
      String(validating: bytes, as: UTF8.self) ?? escaped(bytes)
    }
  }

  // Text of tango has bytes beyond ASCII only within quotes, where an escape may stand for each.
  private func escaped(_ bytes: UnsafeRawBufferPointer) -> String {
    var text = ""
    for byte in bytes {
      if byte < 0x80 {
        text.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        text += "\\\(byte)"
      }
    }
    return text
  }
}
