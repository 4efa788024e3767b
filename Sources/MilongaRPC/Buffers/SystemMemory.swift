import CMilongaMemory

/// What the system can still give, asked for before something large is made of Swift's own types:
/// these end the process when there is no memory for them.
package enum SystemMemory {
  /// Messages up to so many bytes are not worth the question.
  private static let large = 1 << 20

  /// Whether there are so many bytes.
  package static func has(_ bytes: Int) -> Bool {
    bytes <= large || milonga_is_available(bytes) != 0
  }

  /// Whether there is memory for the values of a message of so many bytes: a copy of its strings,
  /// and 64 bytes for each value that it can have.
  package static func hasRoom(forValuesIn bytes: Int, _ limits: CodecLimits) -> Bool {
    bytes <= large || has(2 * bytes + 64 * min(bytes, limits.values))
  }
}

/// There is no memory for something whose size a peer or the program has chosen.
package struct MemoryShortage: Error, CustomStringConvertible {
  package init() {}
  package let description = "not enough memory"
}
