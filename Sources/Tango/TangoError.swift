public import RPCRuntime

/// What can go wrong between the two ends of a connection. What a called function raises is a
/// ``TangoRemoteError``.
public enum TangoError: Error, Sendable, Hashable {
  /// No connection could be made; the text is the last attempt's error.
  case connectFailed(peer: String, reason: String)
  /// The connection ended before the answer came. Whether the function ran is not known.
  case connectionClosed(peer: String)
  /// The deadline passed before the answer came; it will be dropped, and the connection can still
  /// be used.
  case timedOut(path: String, seconds: Double)
  /// As many calls as may be await their answers: see ``TangoClient/Configuration/limits``.
  case tooManyCallsInFlight(limit: Int)
  /// An argument or a result could not be sent.
  case unsendable(path: String, reason: String)
  /// A result has another type than was asked for. The function ran.
  case unexpectedResult(path: String, index: Int, error: RPCTypeError)
  /// The peer sent what the protocol does not know; the connection was closed.
  case protocolViolation(peer: String, reason: String)
  /// The client, or the server, has been shut down by this program.
  case shutDown
}

extension TangoError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .connectFailed(let peer, let reason): "cannot connect to \(peer): \(reason)"
    case .connectionClosed(let peer): "\(peer): closed"
    case .timedOut(let path, let seconds): "\(path): no answer within \(seconds) s"
    case .tooManyCallsInFlight(let limit):
      "\(limit) calls await their answers on this connection already"
    case .unsendable(let path, let reason): "\(path): \(reason)"
    case .unexpectedResult(let path, let index, let error): "\(path): result #\(index): \(error)"
    case .protocolViolation(let peer, let reason): "\(peer): \(reason)"
    case .shutDown: "tango: shut down"
    }
  }
}
