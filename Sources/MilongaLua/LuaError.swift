/// An error that left Lua code and arrived in Swift.
public struct LuaError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What kind of failure it was.
  public enum Kind: Sendable, Equatable {
    /// The code could not be compiled.
    case syntax
    /// Lua code, or a Swift function called by it, raised an error.
    case runtime
    /// The memory limit of the state was reached. The state can still be used; raise the limit, or
    /// drop references and try again.
    case memory
    /// The instruction limit or the time limit of the state was reached; the message says which.
    case limit
    /// ``LuaState/interrupt()`` was called.
    case interrupted
    /// A message handler failed in turn.
    case handler
    /// A value did not have the type that the Swift program asked for.
    case conversion
  }

  public let kind: Kind
  /// The error value as `tostring` gives it, with the position where Lua knew it.
  public let message: String
  /// The Lua stack at the point of the error, as `debug.traceback` prints it; nil for errors that
  /// have none.
  public let traceback: String?

  public init(_ kind: Kind, _ message: String, traceback: String? = nil) {
    self.kind = kind
    self.message = message
    self.traceback = traceback
  }

  public var description: String {
    traceback.map { "\(message)\n\($0)" } ?? message
  }
}
