extension TangoTextParser {
  /// Reads a decimal that is a float, or too long to be known for an integer.
  mutating func decimal(negative: Bool) throws(CodecError) -> Scalar {
    var reader = DecimalReader(position, end)
    do throws(DecimalReader.Failure) {
      let number = try reader.read(isNegative: negative)
      position = reader.position
      return Scalar(number)
    } catch {
      switch error {
      case .digits: throw unexpected(expecting: "a value")
      case .exponentDigits:
        position = reader.position
        throw unexpected(expecting: "the digits of an exponent")
      }
    }
  }
}

extension TangoTextParser.Scalar {
  fileprivate init(_ number: ParsedNumber) {
    switch number {
    case .integer(let value): self = .integer(value)
    case .number(let value): self = .number(value)
    }
  }
}
