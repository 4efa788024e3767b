import MilongaTestSupport
import Testing

/// One command line that both programs are given.
struct Comparison: CustomTestStringConvertible, Sendable {
  var arguments: [String]
  var input = ""
  var environment: [String: String] = [:]
  var files: [String: String] = [:]

  init(
    _ arguments: String..., input: String = "", environment: [String: String] = [:],
    files: [String: String] = [:]
  ) {
    self.arguments = arguments
    self.input = input
    self.environment = environment
    self.files = files
  }

  var testDescription: String {
    (environment.map { "\($0)=\($1)" } + arguments).joined(separator: " ")
  }

  /// Runs both programs; ours must show the same as the original.
  ///
  /// - Returns: what both show.
  @discardableResult
  func check(sourceLocation: SourceLocation = #_sourceLocation) throws -> Outcome {
    let ours = try run(.milonga)
    let theirs = try run(.lua)
    #expect(ours == theirs, sourceLocation: sourceLocation)
    return ours
  }

  /// Runs one program in a new directory that holds the files.
  func run(_ program: Program) throws -> Outcome {
    let place = try Workplace()
    for (name, text) in files { try place.write(text, to: name) }
    var outcome = try place.run(program, arguments, input: input, environment: environment)
    outcome.output = try withoutBanner(outcome.output)
    return outcome
  }
}

/// Replaces the version line, which differs.
func withoutBanner(_ text: String) throws -> String {
  let original = "Lua 5.4.4  Copyright (C) 1994-2022 Lua.org, PUC-Rio"
  let ours = "Milonga \(try Changelog.version()) (\(original))"
  if let range = text.range(of: ours) ?? text.range(of: original) {
    return text.replacingCharacters(in: range, with: "<version>")
  }
  return text
}
