import NIOConcurrencyHelpers

/// A variable that a program shares with its peers.
public final class RPCVariable<Value: Codable & Sendable>: Sendable {
  private let box: NIOLockedValueBox<Value>

  init(_ value: Value) { box = NIOLockedValueBox(value) }

  /// What it is now.
  public var value: Value {
    get { box.withLockedValue { $0 } }
    set { box.withLockedValue { $0 = newValue } }
  }

  /// Changes it in one step, which no peer's write can come in between.
  public func update<R>(_ change: (inout Value) throws -> R) rethrows -> R {
    try box.withLockedValue(change)
  }
}
