import MilongaRPC
import NIOCore

/// A call of which the answer is to come: who is to be told.
///
/// Belongs to the lock of its ``TangoConnection``, but for the last thing that happens to it.
class PendingCall: @unchecked Sendable {
  let path: String
  var id: CallsInFlight<PendingCall>.ID?
  var isCancelled = false

  init(path: String) { self.path = path }

  /// The answer has come; the first element is the status.
  func answer(_ elements: MessageElements) { fatalError("a subclass") }
  func fail(_ error: any Error) { fatalError("a subclass") }
}

/// A call whose results have types.
final class TypedCall<Results: Sendable>: PendingCall, @unchecked Sendable {
  var continuation: UnsafeContinuation<Results, any Error>?
  private let decode: (MessageElements) throws -> Results

  init(path: String, decode: @escaping (MessageElements) throws -> Results) {
    self.decode = decode
    super.init(path: path)
  }

  override func answer(_ elements: MessageElements) {
    guard let continuation = continuation.take() else { return }
    guard case .boolean(true) = elements[0] else {
      continuation.resume(
        throwing: TangoRemoteError(path: path, value: elements.value(at: 1)))
      return
    }
    let results: Results
    do { results = try decode(elements) } catch { return continuation.resume(throwing: error) }
    continuation.resume(returning: results)
  }

  override func fail(_ error: any Error) { continuation.take()?.resume(throwing: error) }
}
