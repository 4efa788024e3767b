/// How the calls of one connection run.
///
/// Calls begin in the order in which they come. Functions that do not wait end before the next call
/// begins, in any case.
public struct CallConcurrency: Sendable, Hashable {
  /// Calls that may be under way at a time. The connection's next call begins when there is a place
  /// for it.
  public let limit: Int

  /// One after the other: a call begins when the call before it has been answered. For peers that
  /// send calls in advance, and count on their order.
  public static let ordered = CallConcurrency(limit: 1)

  /// Async functions run side by side: a call does not wait for those before it.
  ///
  /// - Parameter limit: calls that may be under way at a time, at least 1. With tango, whose
  ///   answers keep the order of the calls, that counts calls whose answers wait for an earlier one,
  ///   too.
  public static func sideBySide(limit: Int = 256) -> CallConcurrency {
    CallConcurrency(limit: limit)
  }

  private init(limit: Int) {
    precondition(limit >= 1, "a connection needs at least one call at a time")
    self.limit = limit
  }
}
