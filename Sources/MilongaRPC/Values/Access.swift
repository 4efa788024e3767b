/// What peers may do with variables; functions can always be called.
public struct Access: OptionSet, Sendable, Hashable {
  /// The options as bits.
  public let rawValue: UInt8

  /// The options of these bits.
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Peers may read variables: `con.name()`.
  @inlinable public static var read: Access { Access(rawValue: 1) }

  /// Peers may write variables: `con.name(value)`.
  @inlinable public static var write: Access { Access(rawValue: 2) }
}
