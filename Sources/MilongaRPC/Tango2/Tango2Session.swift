/// One end of a tango/2 connection, without its socket. `Docs/wire.md` says what each frame means;
/// this is how an end uses the session.
///
/// **Begin.** A client gets `true, 2` for `tango.upgrade_2`, makes a session and says how many
/// other calls it has sent on the original's wire (`originals`). A server makes one when it gives
/// that answer. Both append ``begin(_:)`` to their output.
///
/// **Read.** Call ``next(in:)`` with what was received, do what the event says, drop the bytes it
/// names, again, until `.incomplete`. What an event shows lies in the received bytes: decode it, or
/// copy it, before they move. Each event's comment says which frame it obliges to.
///
/// **Write.** The owner writes frames itself, because the codec writes payloads straight into its
/// buffer. The order is always the same, and the session changes last:
///
/// ```
/// let frame = Tango2Frame.open(in: &output)        // 1. open
/// flags = try Tango2Call.appendOptions(...)        // 2. a call with options only
/// the codec appends the message                    // 3. encode
/// output.lacksMemory, session.fits(payload bytes)  // 4. no: drop it; results make way for an error
/// let id = try session.call(caller, flags)         // 5. ask; a failure: drop the frame
/// Tango2Frame.close(frame, .call, flags, id: id)   // 6. close
/// ```
///
/// To encode only what may be sent, ask ``hasRoomForCall`` first.
///
/// | to send | ask | then |
/// | --- | --- | --- |
/// | a call | ``call(_:_:within:)`` | `.call`; a failure says whether later, or never |
/// | its results | ``answer(_:hasStream:)`` is `.now` | `.result`; `.never`: ``fail(_:)`` |
/// | its error | ``fail(_:)`` is true | `.error` with the flags of a ``Tango2Refusal`` |
/// | that the answer is not wanted | ``cancel(_:)`` has a caller | `.cancel` |
/// | items | ``sendItems(_:payloadBytes:)`` is `.now` | `.items`; `.later`: after `.credit` |
/// | a stream's end | ``endStream(_:)`` is true | `.end`; an argument's may be `.failed` |
/// | that an argument's items are not wanted | ``stopArguments(_:)`` is true | `.cancel` |
/// | credit | ``consumed(_:payloadBytes:)`` has a number | `.credit` with it |
/// | goaway | ``drain()`` | ``Tango2Frame/appendGoaway(lastTaken:reason:to:)`` |
///
/// Something that had to wait has a chance again: a call after `.settings` and after each end of a
/// call of this end; a stream after one of this end's has ended (``hasRoomForStream``).
///
/// **Serve.** Each `.call` gets exactly one last frame: a result without a stream, an error, or the
/// end of its results' stream; when its function has really ended, and not before, also after
/// `.cancelled`. So what runs is what counts.
///
/// **Close.** When ``mayClose`` is true after an event or an answer. When the connection is lost,
/// or after a `.violation`, ``end()`` says who waits and what is served.
public struct Tango2Session<Caller> {
  /// Which end this is: ids of a client's calls are odd, those of a server's even.
  public enum Side: Sendable {
    case client
    case server
  }

  /// What there is to do.
  public enum Event {
    /// More bytes must come: at least so many.
    case incomplete(needed: Int)
    /// A frame of the original's wire begins here. A client tells ``takeOriginal()`` when it has
    /// taken it.
    case original
    /// Nothing: what came may be passed over.
    case nothing
    /// A message for a call that was cancelled, or has ended. Nothing wants it, but references in
    /// it are to be released (``Tango2Reference/numbers(in:limits:)``).
    case dropped(message: UnsafeRawBufferPointer)
    /// The same, of a stream.
    case droppedItems(Tango2Items)

    /// The other end says what it accepts: calls may begin.
    case settings
    /// The other end calls.
    case call(id: UInt32, Tango2Call)
    /// The same, but the call is not to be carried out: an error frame with the refusal's reason is
    /// to be sent for this id. The session has forgotten it.
    case refused(id: UInt32, Tango2CallRefusal)
    /// The caller does not want the answer: end the function, and send a last frame all the same.
    case cancelled(id: UInt32)

    /// The answer to a call, its last frame.
    case result(Caller, message: UnsafeRawBufferPointer)
    /// The call has failed, perhaps in the middle of its stream; its last frame. `mayRetry`:
    /// nothing of it has run, and it may be made again on another connection.
    case error(Caller, Tango2Refusal, mayRetry: Bool, message: UnsafeRawBufferPointer)
    /// The results of a call, of which one more is a stream.
    case stream(id: UInt32, Caller, message: UnsafeRawBufferPointer)
    /// Items of a call's results. ``consumed(_:payloadBytes:)`` is to follow.
    case items(Caller, id: UInt32, Tango2Items, payloadBytes: Int)
    /// The stream has ended, and with it the call.
    case end(Caller)

    /// Items of the argument of a call that is served. ``consumed(_:payloadBytes:)`` is to follow.
    case argumentItems(id: UInt32, Tango2Items, payloadBytes: Int)
    /// That stream has ended, perhaps with an error: a message with one value.
    case argumentEnd(id: UInt32, error: UnsafeRawBufferPointer?)
    /// The other end wants no more of the stream among the arguments of this end's call: an end
    /// frame is to be sent. The session has closed the stream.
    case argumentsUnwanted(id: UInt32)

    /// More of a stream may be sent: that of a call's results, or of its arguments.
    case credit(id: UInt32)
    /// References are not needed any more (``Tango2ReferenceTable/release(_:_:)``).
    case release(UnsafeRawBufferPointer)
    /// A pong frame with the same payload is to be sent.
    case ping(UnsafeRawBufferPointer)
    case pong(UnsafeRawBufferPointer)
    /// The other end takes no more calls, for this reason.
    case goaway(reason: UnsafeRawBufferPointer)

    /// The connection cannot go on: close it.
    case violation(Tango2Violation)
  }

  public let side: Side
  /// What this end accepts.
  public let settings: Tango2Settings
  /// What the other end accepts: the defaults, until it has said so.
  public internal(set) var peerSettings = Tango2Settings()
  /// The other end takes no more calls.
  public internal(set) var isPeerLeaving = false
  /// This end takes no more calls.
  public internal(set) var isLeaving = false
  public internal(set) var hasPeerSettings = false
  /// Answers of the original's wire that are still to come.
  public internal(set) var originals: Int

  @usableFromInline var outgoing = Tango2CallTable<Outgoing>()
  @usableFromInline var incoming = Tango2CallTable<Incoming>()
  @usableFromInline var nextID: UInt32
  /// How often the ids have begun anew.
  @usableFromInline var round: UInt32 = 0

  // What counts for the limits. Each end counts what it opens, so that it never opens too much, and
  // what the other end opens. A stream counts until its end frame or the last frame of its call.
  /// Calls of this end that are not within others.
  @usableFromInline var callsOut: UInt32 = 0
  /// How many there may be now: 0 before the settings, and when an end leaves.
  @usableFromInline var callLimit: UInt32 = 0
  /// Calls of the other end that are not within others.
  @usableFromInline var callsIn: UInt32 = 0
  @usableFromInline var callsWithinOut: UInt32 = 0
  @usableFromInline var callsWithinIn: UInt32 = 0
  /// Streams that arrive, and those that leave.
  @usableFromInline var arriving: UInt32 = 0
  @usableFromInline var departing: UInt32 = 0

  /// The last call that this end has taken; 0 for none.
  @usableFromInline var lastTaken: UInt32 = 0
  /// The last call of this end that the other one has taken before its goaway, and its round.
  var lastTakenByPeer: (round: UInt32, id: UInt32) = (0, 0)

  /// A connection without calls.
  ///
  /// - Parameter originals: answers of the original's wire that a client awaits: for calls that it
  ///   has sent behind `tango.upgrade_2`.
  public init(_ side: Side, settings: Tango2Settings = Tango2Settings(), originals: Int = 0) {
    self.side = side
    self.settings = settings
    self.originals = originals
    nextID = side == .client ? 1 : 2
  }

  /// Appends the settings, with which this end begins.
  public func begin(_ output: inout OutputBuffer) { settings.append(to: &output) }

  /// A client has taken an answer of the original's wire.
  public mutating func takeOriginal() { originals -= 1 }

  /// Whether the other end accepts a payload of so many bytes.
  @inlinable
  public func fits(_ payloadBytes: Int) -> Bool { payloadBytes <= Int(peerSettings.frameBytes) }

  /// Whether the other end accepts a payload of so many bytes in a frame of items.
  @inlinable
  public func fitsItems(_ payloadBytes: Int) -> Bool {
    payloadBytes <= Int(min(peerSettings.frameBytes, peerSettings.itemBytes))
  }

  /// Calls of this end that have not ended, those that were cancelled included.
  @inlinable public var callsInFlight: Int { outgoing.count }

  /// Calls of the other end that have not been answered.
  @inlinable public var callsServed: Int { incoming.count }

  /// No call of either end runs.
  public var isIdle: Bool { outgoing.isEmpty && incoming.isEmpty && originals == 0 }

  /// One of the ends leaves, and no call runs any more: the connection is to be closed. The end
  /// that leaves waits for the other one to do so, for as long as its grace lasts.
  public var mayClose: Bool { isPeerLeaving && isIdle }

  /// This end takes no more calls from now on, but those of references and within others; and it
  /// makes no others.
  ///
  /// - Returns: the id that the goaway frame has, which is to be sent.
  public mutating func drain() -> UInt32 {
    isLeaving = true
    callLimit = 0
    return lastTaken
  }

  /// The connection has ended.
  public mutating func end() -> Tango2Ended<Caller> {
    (callsOut, callsIn, callsWithinOut, callsWithinIn, arriving, departing) = (0, 0, 0, 0, 0, 0)
    (callLimit, originals) = (0, 0)
    let last = lastTakenByPeer
    let isPeerLeaving = isPeerLeaving
    let calls = outgoing.removeAll().compactMap { id, call -> Tango2Ended<Caller>.Call? in
      guard let caller = call.caller else { return nil }
      let isAfter = (call.round, id) > last
      return .init(caller: caller, mayRetry: isPeerLeaving && isAfter && call.traits.mayRetry)
    }
    return Tango2Ended(calls: calls, served: incoming.removeAll().map(\.id))
  }
}

extension Tango2Session: Sendable where Caller: Sendable {}
