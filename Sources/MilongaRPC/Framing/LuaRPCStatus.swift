/// How a call went: the first byte of a response of Lua RPC.
public struct LuaRPCStatus: RawRepresentable, Sendable, Hashable {
  /// The byte.
  public let rawValue: UInt8

  /// A status; those that do not exist are kept as they came.
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// The results follow.
  @inlinable public static var results: LuaRPCStatus { LuaRPCStatus(rawValue: 0) }

  /// The error value follows.
  @inlinable public static var error: LuaRPCStatus { LuaRPCStatus(rawValue: 1) }

  /// There is no function of this name.
  @inlinable public static var noSuchFunction: LuaRPCStatus { LuaRPCStatus(rawValue: 2) }

  /// What has this name is no function.
  @inlinable public static var notAFunction: LuaRPCStatus { LuaRPCStatus(rawValue: 3) }

  /// The function has run, but a result cannot be sent. The original's document does not have it.
  @inlinable public static var unserializable: LuaRPCStatus { LuaRPCStatus(rawValue: 4) }

  /// The text that follows ``unserializable``.
  public static let unserializableText: StaticString = "Cannot serialize result"

  /// What a caller is told, in the original's words; nil for ``results`` and ``error``, which speak
  /// for themselves.
  public var message: String? {
    switch self {
    case .results, .error: nil
    case .noSuchFunction: "function not existing"
    case .notAFunction: "not a function"
    default: "bad status \(rawValue)"
    }
  }
}
