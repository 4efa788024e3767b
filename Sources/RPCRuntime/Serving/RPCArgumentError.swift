/// A call whose arguments do not suit the function.
public struct RPCArgumentError: Error, Sendable, Hashable, CustomStringConvertible {
  public let description: String

  @usableFromInline
  init(_ name: String, expected: String, got count: Int) {
    description = "\(name): expected \(expected), got \(count)"
  }

  @usableFromInline
  init(_ name: String, index: Int, _ error: RPCTypeError) {
    description = "\(name): argument #\(index): \(error)"
  }
}
