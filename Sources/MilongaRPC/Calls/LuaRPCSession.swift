/// One side of a Lua RPC connection, without its socket: what comes in is taken apart into
/// messages, and responses find the calls that they answer.
///
/// ```
/// loop: switch session.next(in: received) {
///   case .call(let sequence, let payload): serve it, sooner or later; answer with LuaRPCFraming
///   case .answer(let caller, let status, let payload): hand it to the caller
///   case .incomplete: read more
///   case .invalid: close the connection, and tell the callers of calls.failAll()
///   ...
/// }
/// consume LuaRPCFraming.headerBytes + payload.count bytes
/// ```
public struct LuaRPCSession<Caller> {
  /// What there is to do.
  public enum Event {
    /// More bytes must come: at least so many.
    case incomplete(needed: Int)

    /// The peer calls.
    case call(sequence: UInt8, payload: UnsafeRawBufferPointer)

    /// The peer has answered a call. The values begin after the status, with which the payload
    /// begins.
    case answer(Caller, LuaRPCStatus, payload: UnsafeRawBufferPointer)

    /// The answer to a call that was given up: drop it.
    case lateAnswer(payload: UnsafeRawBufferPointer)

    /// The peer answers what it was not asked: drop it.
    case unknownAnswer(sequence: UInt8, payload: UnsafeRawBufferPointer)

    /// The stream cannot be trusted from here on: close the connection.
    case invalid(FramingError)
  }

  /// This side's calls that await their answers.
  public var calls = NumberedCalls<Caller>()

  /// The longest payload that is taken, in bytes.
  public let maxBytes: Int

  /// A session without calls.
  @inlinable
  public init(maxBytes: Int = LuaRPCFraming.defaultMaxBytes) { self.maxBytes = maxBytes }

  /// Takes the message at the start of `bytes`. Its payload lies in `bytes`.
  @inlinable
  public mutating func next(in bytes: UnsafeRawBufferPointer) -> Event {
    switch LuaRPCFraming.next(in: bytes, maxBytes: maxBytes) {
    case .incomplete(let needed): return .incomplete(needed: needed)
    case .invalid(let error): return .invalid(error)
    case .message(let kind, let sequence, let size):
      let payload = UnsafeRawBufferPointer(
        rebasing: bytes[LuaRPCFraming.headerBytes..<LuaRPCFraming.headerBytes + size])
      if kind == .call { return .call(sequence: sequence, payload: payload) }
      switch calls.take(sequence) {
      case .caller(let caller):
        return .answer(caller, LuaRPCStatus(rawValue: payload[0]), payload: payload)
      case .abandoned: return .lateAnswer(payload: payload)
      case .none: return .unknownAnswer(sequence: sequence, payload: payload)
      }
    }
  }
}

extension LuaRPCSession: Sendable where Caller: Sendable {}
