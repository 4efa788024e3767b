import MilongaTestSupport
import Testing

@testable import MilongaRPC

/// Decimals, as tango's text and JSON have them.
@Suite struct DecimalReaderTests {
  /// Reads a decimal without a sign.
  ///
  /// - Returns: the number, and how many bytes it took.
  private func read(
    _ text: String, isNegative: Bool = false
  ) throws -> (number: ParsedNumber, count: Int) {
    try Array(text.utf8).withUnsafeBytes { bytes in
      var reader = DecimalReader(bytes.baseAddress!, bytes.baseAddress! + bytes.count)
      let number = try reader.read(isNegative: isNegative)
      return (number, reader.position - bytes.baseAddress!)
    }
  }

  private func integer(_ text: String, isNegative: Bool = false) throws -> Int64? {
    guard case .integer(let value) = try read(text, isNegative: isNegative).number else {
      return nil
    }
    return value
  }

  private func float(_ text: String, isNegative: Bool = false) throws -> Double? {
    guard case .number(let value) = try read(text, isNegative: isNegative).number else {
      return nil
    }
    return value
  }

  @Test func integersHave64Bits() throws {
    #expect(try integer("0") == 0)
    #expect(try integer("007") == 7)
    #expect(try integer("9223372036854775807") == .max)
    #expect(try integer("9223372036854775808", isNegative: true) == .min)
    // One more is a float, in either direction.
    #expect(try float("9223372036854775808") == 0x1p63)
    #expect(try float("9223372036854775809", isNegative: true) == -0x1p63)
    #expect(try float("100000000000000000000") == 1e20)
  }

  @Test func aPointOrAnExponentMakesAFloat() throws {
    #expect(try float("1.0") == 1)
    #expect(try float("1.") == 1)
    #expect(try float(".5") == 0.5)
    #expect(try float("1e2") == 100)
    #expect(try float("1E+2") == 100)
    #expect(try float("25e-1") == 2.5)
    #expect(try float("0.0", isNegative: true)?.sign == .minus)
    #expect(try float("1e400") == .infinity)
    #expect(try float("1e-400") == 0)
    #expect(try float("1e99999999999999999999") == .infinity)
  }

  @Test func itStopsBehindTheNumber() throws {
    #expect(try read("12,3").count == 2)
    #expect(try read("1.5.2").count == 3)
    #expect(try read("1e5e").count == 3)
  }

  @Test(arguments: ["", ".", "-1", "x", ".e1"]) func digitsAreMissing(_ text: String) {
    // An empty array has no address.
    #expect(throws: DecimalReader.Failure.digits) { try read(text + " ") }
  }

  @Test(arguments: ["1e", "1e+", "1.5e-", "1ex"])
  func digitsOfTheExponentAreMissing(_ text: String) {
    #expect(throws: DecimalReader.Failure.exponentDigits) { try read(text) }
  }

  /// The float is the one that is nearest, as the standard library finds it.
  @Test func floatsAreExact() throws {
    var generator = SeededGenerator(seed: 11)
    for _ in 0..<20_000 {
      let whole = UInt64.random(in: 0...UInt64.max, using: &generator) >> generator.below(64)
      let fraction = UInt64.random(in: 0...UInt64.max, using: &generator) >> generator.below(64)
      let exponent = generator.below(60) - 30
      let text = "\(whole).\(fraction)" + (generator.below(2) == 0 ? "" : "e\(exponent)")
      #expect(try float(text) == Double(text), "\(text)")
    }
  }
}
