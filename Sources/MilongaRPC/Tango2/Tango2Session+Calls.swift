// What a session knows of each call.
extension Tango2Session {
  /// A call of this end that has not ended.
  @usableFromInline
  struct Outgoing {
    /// nil when it was cancelled.
    @usableFromInline var caller: Caller?
    /// The stream of its results; nil before they have come.
    @usableFromInline var results: Tango2Receiving?
    /// The stream of its argument; nil when there is none, or it has ended.
    @usableFromInline var arguments: Tango2Sending?
    /// How often the ids had begun anew when it got its own.
    @usableFromInline let round: UInt32
    @usableFromInline var traits: Tango2CallTraits

    @inlinable
    init(
      caller: Caller, round: UInt32, traits: Tango2CallTraits = [],
      arguments: Tango2Sending? = nil
    ) {
      self.caller = caller
      self.round = round
      self.traits = traits
      self.arguments = arguments
    }
  }

  /// A call of the other end that has not been answered.
  @usableFromInline
  struct Incoming: Sendable {
    @usableFromInline var isCancelled = false
    /// It is made within another.
    @usableFromInline let isWithin: Bool
    /// The stream of its results; nil before they have left.
    @usableFromInline var results: Tango2Sending?
    /// The stream of its argument; nil when there is none, or it has ended.
    @usableFromInline var arguments: Tango2Receiving?

    @inlinable
    init(isWithin: Bool = false, arguments: Tango2Receiving? = nil) {
      self.isWithin = isWithin
      self.arguments = arguments
    }
  }

  // MARK: Their ends

  /// A call of this end has its last frame.
  @inlinable
  mutating func removeOutgoing(at place: Int) -> Outgoing {
    let call = outgoing.remove(at: place)
    if call.traits.contains(.within) { callsWithinOut -= 1 } else { callsOut -= 1 }
    if call.results != nil { arriving -= 1 }
    if call.arguments != nil { departing -= 1 }
    return call
  }

  /// A call of the other end has its last frame.
  @inlinable
  mutating func removeIncoming(at place: Int) {
    let call = incoming.remove(at: place)
    if call.isWithin { callsWithinIn -= 1 } else { callsIn -= 1 }
    if call.results != nil { departing -= 1 }
    if call.arguments != nil { arriving -= 1 }
  }

  /// No more items of an argument are sent.
  @usableFromInline
  mutating func closeOutgoingArguments(at place: Int) {
    guard outgoing.entries[place]!.arguments != nil else { return }
    outgoing.entries[place]!.arguments = nil
    departing -= 1
  }

  /// No more items of an argument come.
  @usableFromInline
  mutating func closeIncomingArguments(at place: Int) {
    guard incoming.entries[place]!.arguments != nil else { return }
    incoming.entries[place]!.arguments = nil
    arriving -= 1
  }
}

extension Tango2Session.Outgoing: Sendable where Caller: Sendable {}

/// What is unusual about a call.
@usableFromInline
struct Tango2CallTraits: OptionSet, Sendable {
  @usableFromInline let rawValue: UInt8

  @inlinable init(rawValue: UInt8) { self.rawValue = rawValue }

  /// It is made within another.
  @usableFromInline static let within = Tango2CallTraits(rawValue: 1)
  /// It is of a reference, which only this connection has.
  @usableFromInline static let reference = Tango2CallTraits(rawValue: 2)
  /// Items of its argument are gone.
  @usableFromInline static let sentItems = Tango2CallTraits(rawValue: 4)

  /// Whether it could be made again on another connection.
  @usableFromInline var mayRetry: Bool { isEmpty }
}
