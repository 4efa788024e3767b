/// Bytes become quoted-printable text (RFC 2045, section 6.7): what is not printable becomes `=XX`,
/// blanks at the end of a line, too. CRLF becomes the marker. Nothing limits the length of lines.
package struct QuotedPrintableEncoder: PrefixCodec {
  package internal(set) var held = HeldBytes()
  private let marker: UnsafeRawBufferPointer

  /// - Parameter marker: what CRLF becomes; must live as long as the encoder.
  package init(marker: UnsafeRawBufferPointer) { self.marker = marker }

  func translatePrefix(
    of bytes: UnsafeRawBufferPointer, into output: inout MIMEOutput
  ) throws(MIMEOutput.TooLarge) -> Int {
    guard let first = bytes.baseAddress else { return 0 }
    let certain = Self.certainCount(bytes)
    let end = first + certain
    var source = first
    while source < end {
      // Reserving for one block at a time keeps the memory near to what is needed.
      let block = min(4096, end - source)
      var target = try output.reserve(3 * block)
      Self.encode(&source, source + block, end, &target)
      output.wrote(upTo: target)
      guard source < end, source.load(as: UInt8.self) == QuotedPrintable.carriageReturn else {
        continue
      }
      let isLineEnd =
        end - source > 1
        && source.load(fromByteOffset: 1, as: UInt8.self) == QuotedPrintable.newline
      guard isLineEnd else {
        try output.append("=0D")
        source += 1
        continue
      }
      if source > first, QuotedPrintable.isBlank((source - 1).load(as: UInt8.self)) {
        // The blank is written already: it is at the end of a line after all.
        target = try output.reserve(3) - 1
        QuotedPrintable.store(quoted: (source - 1).load(as: UInt8.self), to: &target)
        output.wrote(upTo: target)
      }
      try output.append(marker)
      source += 2
    }
    return certain
  }

  /// The last line was not ended: blanks are quoted, and the line break that follows does not
  /// count.
  package mutating func finish(into output: inout MIMEOutput) throws(MIMEOutput.TooLarge) {
    guard !held.isEmpty else { return }
    var target = try output.reserve(3 * held.count)
    for place in 0..<held.count {
      if QuotedPrintable.isPlain(held[place]) {
        target.storeBytes(of: held[place], as: UInt8.self)
        target += 1
      } else {
        QuotedPrintable.store(quoted: held[place], to: &target)
      }
    }
    output.wrote(upTo: target)
    try output.append("=\r\n")
    held = HeldBytes()
  }

  /// How many bytes can be encoded whatever follows. A carriage return wants to see one byte more,
  /// a blank wants two.
  private static func certainCount(_ bytes: UnsafeRawBufferPointer) -> Int {
    let count = bytes.count
    if count >= 2, QuotedPrintable.isBlank(bytes[count - 2]) { return count - 2 }
    guard let last = bytes.last else { return 0 }
    let waits = QuotedPrintable.isBlank(last) || last == QuotedPrintable.carriageReturn
    return waits ? count - 1 : count
  }

  /// Encodes until `blockEnd` or a carriage return, with blanks as if no line ended behind them.
  ///
  /// - Parameter end: up to there may be read.
  @inline(__always)
  private static func encode(
    _ source: inout UnsafeRawPointer, _ blockEnd: UnsafeRawPointer, _ end: UnsafeRawPointer,
    _ target: inout UnsafeMutableRawPointer
  ) {
    let forms = QuotedPrintable.forms
    while source < blockEnd {
      if blockEnd - source >= 8 {
        let word = UInt64(littleEndian: source.loadUnaligned(as: UInt64.self))
        target.storeBytes(of: word.littleEndian, as: UInt64.self)
        let special = QuotedPrintable.specialBytes(word)
        let clean = special == 0 ? 8 : special.trailingZeroBitCount / 8
        source += clean
        target += clean
        if special == 0 { continue }
      }
      // Where one byte is special others often are.
      let stop = min(source + 8, blockEnd)
      while source < stop {
        let form = forms[source.load(as: UInt8.self)]
        if form == 0 { return }
        target.storeBytes(of: form.littleEndian, as: UInt32.self)
        target += Int(form >> 24)
        source += 1
      }
    }
  }
}

extension QuotedPrintable {
  /// For each byte what it becomes, from the low byte on, and in the high byte how long that is;
  /// zero for the carriage return.
  static let forms = LookupTable<UInt32>(count: 256) { index in
    let byte = UInt8(index)
    if byte == carriageReturn { return 0 }
    if isPlain(byte) || isBlank(byte) { return UInt32(byte) | 1 << 24 }
    return quoted(byte) | 3 << 24
  }

  /// `=XX`, from the low byte on.
  private static func quoted(_ byte: UInt8) -> UInt32 {
    let digits: StaticString = "0123456789ABCDEF"
    return UInt32(escape) | UInt32(digits.utf8Start[Int(byte >> 4)]) << 8
      | UInt32(digits.utf8Start[Int(byte & 15)]) << 16
  }

  static func store(quoted byte: UInt8, to target: inout UnsafeMutableRawPointer) {
    target.storeBytes(of: quoted(byte).littleEndian, as: UInt32.self)
    target += 3
  }
}
