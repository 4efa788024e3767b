public import MilongaRPC

/// The error that a called function raised, or the server's reason not to call it.
public struct RPCRemoteError: Error, Sendable, Hashable {
  /// The path of the function.
  public let path: String
  /// The error value of Lua: mostly text, but it can be anything.
  public let value: RPCValue

  public init(path: String, value: RPCValue) {
    self.path = path
    self.value = value
  }

  /// The error's text.
  public var message: String {
    if case .string(let text) = value { text.description } else { value.description }
  }
}

extension RPCRemoteError: CustomStringConvertible {
  public var description: String { "\(path): \(message)" }
}
