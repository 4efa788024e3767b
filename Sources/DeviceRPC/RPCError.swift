public import RPCRuntime

/// What can go wrong between two peers. What a called function raises is an ``RPCRemoteError``.
public enum RPCError: Error, Sendable, Hashable {
  /// No connection could be made.
  case connectFailed(peer: String, reason: String)
  /// The connection ended before the answer came. Whether the function ran is not known.
  case connectionClosed(peer: String)
  /// The deadline passed before the answer came; it will be dropped, and the connection can still
  /// be used.
  case timedOut(path: String, seconds: Double)
  /// As many calls as may be await their answers, or a sequence number to be sent with.
  case tooManyCalls(limit: Int)
  /// The other side has no function of this name.
  case noSuchFunction(path: String)
  /// The other side has something of this name, but no function.
  case notAFunction(path: String)
  /// The function ran, but the protocol cannot hold what it returned or raised.
  case unserializable(path: String)
  /// An answer with a status that does not exist.
  case unknownStatus(path: String, status: UInt8)
  /// An argument could not be sent.
  case unsendable(path: String, reason: String)
  /// The answer has what no Swift value can be, such as a function, or more than the limits allow.
  case unreadable(path: String, reason: String)
  /// A result has another type than was asked for. The function ran.
  case unexpectedResult(path: String, index: Int, error: RPCTypeError)
  /// The peer sent what the protocol does not know; the connection was closed.
  case protocolViolation(peer: String, reason: String)
  /// This program has closed the connection.
  case shutDown
}

extension RPCError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .connectFailed(let peer, let reason): "cannot connect to \(peer): \(reason)"
    case .connectionClosed(let peer): "\(peer): closed"
    case .timedOut(let path, let seconds): "\(path): no answer within \(seconds) s"
    case .tooManyCalls(let limit): "\(limit) calls await their answers on this connection already"
    case .noSuchFunction(let path): "\(path): function not existing"
    case .notAFunction(let path): "\(path): not a function"
    case .unserializable(let path): "\(path): its result cannot be sent by the other side"
    case .unknownStatus(let path, let status): "\(path): an answer with the status \(status)"
    case .unsendable(let path, let reason): "\(path): \(reason)"
    case .unreadable(let path, let reason): "\(path): cannot read the answer: \(reason)"
    case .unexpectedResult(let path, let index, let error): "\(path): result #\(index): \(error)"
    case .protocolViolation(let peer, let reason): "\(peer): \(reason)"
    case .shutDown: "the connection was closed by this program"
    }
  }
}
