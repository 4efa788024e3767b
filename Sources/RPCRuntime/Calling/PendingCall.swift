import MilongaRPC

/// A call that this side has made, and that has not ended yet. A function hears of its end; a task
/// that awaits results makes a ``TypedCall``.
///
/// It belongs to the lock of its connection. Only its end does not: ``succeed(_:)`` or ``fail(_:)``
/// is called once, without the lock.
package class PendingCall: @unchecked Sendable {
  package enum State {
    /// No connection has the call yet.
    case new
    /// The protocol has no number for the call yet. This is what will be sent.
    case waiting(payload: [UInt8])
    /// The call has this number on its connection.
    case sent(number: UInt64)
    /// The call was answered, was cancelled, or has failed.
    case over
  }

  /// The path or the method's name, for errors.
  package let name: String
  /// Nanoseconds of the monotonic clock; `Int64.max` for no deadline.
  package let deadline: Int64
  package var state = State.new

  package var isOver: Bool { if case .over = state { true } else { false } }

  private let ended: @Sendable (Result<CallResults, any Error>) -> Void

  package init(
    name: String, deadline: Int64 = .max,
    ended: @escaping @Sendable (Result<CallResults, any Error>) -> Void = { _ in }
  ) {
    self.name = name
    self.deadline = deadline
    self.ended = ended
  }

  /// The results have come.
  package func succeed(_ results: CallResults) { ended(.success(results)) }

  /// The call ends without results.
  package func fail(_ error: any Error) { ended(.failure(error)) }
}

/// A call whose results a task awaits, as Swift types.
package final class TypedCall<Results: Sendable>: PendingCall, @unchecked Sendable {
  /// The task that awaits the results. Set before the call goes to a connection.
  package var continuation: UnsafeContinuation<Results, any Error>?
  private let decode: @Sendable (CallResults) throws -> Results

  package init(
    name: String, deadline: Int64, decode: @escaping @Sendable (CallResults) throws -> Results
  ) {
    self.decode = decode
    super.init(name: name, deadline: deadline)
  }

  package override func succeed(_ results: CallResults) {
    guard let continuation = continuation.take() else { return }
    let decoded: Results
    do { decoded = try decode(results) } catch { return continuation.resume(throwing: error) }
    continuation.resume(returning: decoded)
  }

  package override func fail(_ error: any Error) { continuation.take()?.resume(throwing: error) }
}
