/// Why a call cannot begin. Nothing was sent.
public enum Tango2CallFailure: Error, Sendable, Hashable {
  /// The other end has not said yet what it accepts. Its settings are on their way.
  case noSettingsYet
  /// The other end accepts no more; there is room when a call, or a stream, has ended.
  case tooMany(Tango2Limit)
  /// As many calls within others as the other end accepts. They do not wait for each other, so this
  /// is an error at once.
  case tooDeep(limit: UInt32)
  /// One of the two ends takes no more calls; another connection may.
  case leaving
  /// The other end takes no calls at all.
  case servesNothing
  /// The other end takes no streams at all.
  case takesNoStreams
  /// The call within which this one was to be made has ended, or was cancelled.
  case outerEnded

  /// Whether the call may begin on this connection later, and is not refused for good.
  public var isTemporary: Bool {
    switch self {
    case .noSettingsYet, .tooMany: true
    case .tooDeep, .leaving, .servesNothing, .takesNoStreams, .outerEnded: false
    }
  }
}

extension Tango2CallFailure: CustomStringConvertible {
  /// One sentence for the caller.
  public var description: String {
    switch self {
    case .noSettingsYet: "the other end has not sent its settings yet"
    case .tooMany(let limit): "the other end does not take \(limit)"
    case .tooDeep(let limit):
      "the other end does not take \(Tango2Limit.callsWithin(limit)): callbacks call each other too deeply"
    case .leaving: "the other end is about to close the connection"
    case .servesNothing: "the other end takes no calls"
    case .takesNoStreams: "the other end takes no streams"
    case .outerEnded: "the call within which this one was to be made has ended"
    }
  }
}

/// Whether a frame may be sent.
public enum Tango2Permission: Sendable, Hashable {
  /// It is to be sent now; the session reckons with it.
  case now
  /// Not yet, and nothing has changed: ask again after an event.
  case later
  /// There is no such call or stream any more, or it was cancelled.
  case never
}

/// Why a call is refused before anything of it has run.
public enum Tango2CallRefusal: Sendable, Hashable, CustomStringConvertible {
  /// This end has sent goaway.
  case leaving
  /// The call within which it was made was cancelled.
  case outerCancelled

  /// The flags of the error frame are this reason's.
  public var reason: Tango2Refusal {
    switch self {
    case .leaving: .notCalled
    case .outerCancelled: .cancelled
    }
  }

  /// What the caller is told.
  public var description: String {
    switch self {
    case .leaving: "the other end is about to close the connection"
    case .outerCancelled: "the call within which this one was made was cancelled"
    }
  }
}

/// What the call of a connection that has ended comes to.
public struct Tango2Ended<Caller> {
  /// A call of this end.
  public struct Call {
    public let caller: Caller
    /// The other end has not begun it (it said so by goaway): it may be made on another connection.
    public let mayRetry: Bool
  }

  /// The calls of this end that wait, in no order.
  public let calls: [Call]
  /// The ids of the calls that are served: their functions are to be ended.
  public let served: [UInt32]
}

extension Tango2Ended: Sendable where Caller: Sendable {}
extension Tango2Ended.Call: Sendable where Caller: Sendable {}
