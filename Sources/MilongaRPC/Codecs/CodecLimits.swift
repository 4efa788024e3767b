/// How much a peer may ask a reader to build.
public struct CodecLimits: Sendable, Hashable {
  /// How deep tables may be nested, the message's own table included; 128 unless told otherwise.
  ///
  /// Readers recurse, so this bounds their use of the stack, at roughly 1 KiB a level when
  /// optimised.
  public var depth: Int

  /// How many values, keys included, a message may have in all; 1,000,000 unless told otherwise.
  public var values: Int

  /// How many elements a message may have, and the highest index it may name; 8,000 unless told
  /// otherwise.
  ///
  /// 8,000 is about as many values as `unpack` of Lua 5.1 can put on the stack. Each element
  /// becomes a slot of a stack, holes included, so without a limit `{[1000000]=1}` would be a cheap
  /// attack.
  public var messageElements: Int

  /// Limits with the defaults, except for what is given.
  @inlinable
  public init(depth: Int = 128, values: Int = 1_000_000, messageElements: Int = 8_000) {
    self.depth = depth
    self.values = values
    self.messageElements = messageElements
  }
}
