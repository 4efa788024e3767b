import MilongaRPC
import Tango

/// A call of which the answer is to come: who is to be told.
///
/// Belongs to the lock of its ``PeerConnection``, but for the last thing that happens to it.
class PendingCall: @unchecked Sendable {
  enum State {
    case new
    /// All sequence numbers are in use: this is what will be sent.
    case waiting(payload: [UInt8])
    case sent
    case over
  }

  let name: String
  /// Nanoseconds of the monotonic clock.
  let deadline: Int64
  var state = State.new

  var isOver: Bool { if case .over = state { true } else { false } }

  init(name: String, deadline: Int64) {
    self.name = name
    self.deadline = deadline
  }

  func answer(_ status: LuaRPCStatus, _ elements: MessageElements) { fatalError("a subclass") }
  func fail(_ error: any Error) { fatalError("a subclass") }
}

/// A call whose results have types.
final class TypedCall<Results: Sendable>: PendingCall, @unchecked Sendable {
  var continuation: UnsafeContinuation<Results, any Error>?
  private let decode: @Sendable (MessageElements) throws -> Results

  init(
    name: String, deadline: Int64, decode: @escaping @Sendable (MessageElements) throws -> Results
  ) {
    self.decode = decode
    super.init(name: name, deadline: deadline)
  }

  override func answer(_ status: LuaRPCStatus, _ elements: MessageElements) {
    guard let continuation = continuation.take() else { return }
    do {
      try status.check(name, elements)
      continuation.resume(returning: try decode(elements))
    } catch {
      continuation.resume(throwing: error)
    }
  }

  override func fail(_ error: any Error) { continuation.take()?.resume(throwing: error) }
}

extension LuaRPCStatus {
  /// - Throws: unless results follow.
  fileprivate func check(_ name: String, _ elements: MessageElements) throws {
    switch self {
    case .results: return
    case .error: throw RPCRemoteError(path: name, value: elements.value(at: 0))
    case .noSuchFunction: throw RPCError.noSuchFunction(path: name)
    case .notAFunction: throw RPCError.notAFunction(path: name)
    case .unserializable: throw RPCError.unserializable(path: name)
    default: throw RPCError.unknownStatus(path: name, status: rawValue)
    }
  }
}

/// The deadline passed; whoever set it knows how long that was.
struct DeadlinePassed: Error {}
