/// A value that has another type than was asked for.
public struct RPCTypeError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What was asked for: a Swift type, or a type of Lua.
  public let expected: String
  /// What is there, and why it cannot be used.
  public let found: String

  public init(expected: String, found: String) {
    self.expected = expected
    self.found = found
  }

  public var description: String { "expected \(expected), got \(found)" }
}
