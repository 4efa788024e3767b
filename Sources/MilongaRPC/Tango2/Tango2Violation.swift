/// Why what the other end has sent is no tango/2: the connection cannot go on.
public enum Tango2Violation: Error, Sendable, Hashable {
  case tooLong(bytes: Int, limit: Int)
  case unknownKind(UInt8)
  case unknownFlags(Tango2Frame.Kind, Tango2Frame.Flags)
  /// An id where none belongs, or none where one does.
  case badID(Tango2Frame.Kind, UInt32)
  /// A call whose id is not the caller's to give, or belongs to a call that has not ended.
  case callID(UInt32)
  /// A call within another that this end has not made, or that has ended.
  case within(UInt32)
  /// An answer, a cancellation or a part of a stream for a call that there is not.
  case noCall(Tango2Frame.Kind, UInt32)
  /// A part of a stream where no stream is.
  case noStream(Tango2Frame.Kind, UInt32)
  /// More of a stream than there was credit for.
  case beyondCredit(UInt32)
  /// More credit than a number holds, or none.
  case badCredit(UInt32)
  /// More than the settings of this end say.
  case tooMany(Tango2Limit)
  /// Metadata of more bytes than the settings of this end say.
  case metadataTooLong(bytes: Int, limit: UInt32)
  /// The payload is not what the kind says.
  case malformed(Tango2Frame.Kind)
  /// Settings, or a goaway, for a second time.
  case again(Tango2Frame.Kind)
  /// Something else before the settings.
  case noSettings(Tango2Frame.Kind)
  /// The messages of the other end are in another codec.
  case codec(mine: UInt8, theirs: UInt8)
  /// A frame of the original's wire where none belongs any more.
  case original
}

/// What the settings limit to a number.
public enum Tango2Limit: Sendable, Hashable {
  case calls(UInt32)
  case callsWithin(UInt32)
  case streams(UInt32)
}

extension Tango2Limit: CustomStringConvertible {
  /// A phrase such as "more than 256 calls at a time".
  public var description: String {
    switch self {
    case .calls(let limit): "more than \(limit) calls at a time"
    case .callsWithin(let limit): "more than \(limit) calls within others at a time"
    case .streams(let limit): "more than \(limit) streams at a time"
    }
  }
}

extension Tango2Violation: CustomStringConvertible {
  /// One sentence for a log or a user.
  public var description: String {
    switch self {
    case .tooLong(let bytes, let limit):
      "a frame of \(bytes) bytes is longer than the limit of \(limit) bytes"
    case .unknownKind(let kind): "a frame of kind \(kind), which tango/2 does not have"
    case .unknownFlags(let kind, let flags):
      "a frame of kind '\(kind)' with flags \(flags.rawValue), which it does not have"
    case .badID(let kind, let id): "a frame of kind '\(kind)' with the id \(id)"
    case .callID(let id): "a call with the id \(id), which is not free"
    case .within(let id): "a call within call \(id), which there is not"
    case .noCall(let kind, let id): "a frame of kind '\(kind)' for call \(id), which there is not"
    case .noStream(let kind, let id):
      "a frame of kind '\(kind)' for call \(id), which has no stream"
    case .beyondCredit(let id): "more of the stream of call \(id) than it had credit for"
    case .badCredit(let id): "a credit for call \(id) that is zero or too much"
    case .tooMany(let limit): "\(limit)"
    case .metadataTooLong(let bytes, let limit):
      "metadata of \(bytes) bytes are longer than the limit of \(limit) bytes"
    case .malformed(let kind): "a frame of kind '\(kind)' whose payload is malformed"
    case .again(let kind): "a second frame of kind '\(kind)'"
    case .noSettings(let kind): "a frame of kind '\(kind)' before the settings"
    case .codec(let mine, let theirs):
      "messages in \(Tango2Settings.name(ofCodec: theirs)), where this end has "
        + Tango2Settings.name(ofCodec: mine)
    case .original: "a frame of the original's wire after the change to tango/2"
    }
  }
}
