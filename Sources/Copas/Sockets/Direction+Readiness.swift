import MilongaIO
import MilongaScheduler

extension Direction {
  /// What a descriptor has to be ready for.
  @inlinable
  public var readiness: Readiness { self == .read ? .readable : .writable }
}
