/// The call to which an answer belongs.
public enum CallMatch<Caller> {
  /// The call of this caller.
  case caller(Caller)

  /// A call that was abandoned: drop the answer.
  case abandoned

  /// No call: the peer answers what it was not asked.
  case none
}

extension CallMatch: Sendable where Caller: Sendable {}
extension CallMatch: Equatable where Caller: Equatable {}
