/// One end of a tango/2 connection, without its socket: what comes in is taken apart into frames,
/// and each is looked at in the light of the calls that there are. `Docs/wire.md` says what each
/// frame means.
///
/// ```
/// session.begin(&output)                       the settings, once
/// loop: let (event, bytes) = session.next(in: received)
///   .call(id, call)                serve it; then answer(id) and a result frame, or fail(id) and an error frame
///   .result(caller, message)       hand it to the caller
///   .incomplete(needed)            read more
///   .violation(v)                  close the connection, and tell the callers of end()
///   ...
/// drop so many bytes of what was received
/// ```
///
/// The owner writes the frames itself (``Tango2Frame``), because the codec writes payloads straight
/// into its buffer. It asks the session first, whose answers keep both ends in the same state. All
/// that the session writes are the settings.
///
/// The state of a call is in one place on each side:
///
/// | caller | waiting -> (streaming) -> ended, or cancelled -> ended |
/// | --- | --- |
/// | callee | running -> (streaming) -> ended; the caller may have cancelled it meanwhile |
///
/// Each call that was sent gets exactly one last frame: a result without a stream, an error, or the
/// end of its stream. That holds for cancelled calls, too: until the last frame has come the id is
/// not free.
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
    /// A frame of the original's wire begins here.
    case original
    /// Nothing: what came may be passed over.
    case nothing
    /// A message for a call that was cancelled, or has ended. Nothing wants it, but references in
    /// it are to be released.
    case dropped(message: UnsafeRawBufferPointer)
    /// The same, of a stream.
    case droppedItems(Tango2Items)

    /// The other end says what it accepts.
    case settings
    /// The other end calls.
    case call(id: UInt32, Tango2Call)
    /// The same, but too many calls run already, or no more are taken (``drain()``), or its
    /// metadata are too long: an error frame with ``Tango2Refusal/notCalled`` is to be sent for
    /// this id. The session has forgotten it.
    case refused(id: UInt32, Tango2CallRefusal)
    /// The caller does not want the answer: end the function, and answer all the same.
    case cancelled(id: UInt32)

    /// The answer to a call, its last frame.
    case result(Caller, message: UnsafeRawBufferPointer)
    /// The call has failed; its last frame.
    case error(Caller, Tango2Refusal, message: UnsafeRawBufferPointer)
    /// The results of a call whose last one is a stream.
    case stream(id: UInt32, Caller, message: UnsafeRawBufferPointer)
    /// The same, but too many streams arrive already: a cancel frame is to be sent for this id. The
    /// caller is to be told; the session has forgotten it. References in the message are to be
    /// released.
    case streamRefused(id: UInt32, Caller, message: UnsafeRawBufferPointer)
    /// Items of a call's results. ``consumed(_:_:_:)`` is to follow.
    case items(Caller, id: UInt32, Tango2Items, payloadBytes: Int)
    /// The stream has ended, and with it the call.
    case end(Caller)

    /// Items of the last argument of a call that is served. ``consumed(_:_:_:)`` is to follow.
    case argumentItems(id: UInt32, Tango2Items, payloadBytes: Int)
    /// That stream has ended.
    case argumentEnd(id: UInt32)

    /// More of a stream may be sent: that of a call's results, or of its arguments.
    case credit(id: UInt32)
    /// References are not needed any more: pairs of a reference and a count (4 bytes each, big
    /// endian).
    case release(UnsafeRawBufferPointer)
    /// A pong frame with the same payload is to be sent.
    case ping(UnsafeRawBufferPointer)
    case pong(UnsafeRawBufferPointer)
    /// The other end takes no more calls, for this reason.
    case goaway(UnsafeRawBufferPointer)

    /// The connection cannot go on.
    case violation(Tango2Violation)
  }

  /// A call of this end that has not ended.
  @usableFromInline
  struct Outgoing {
    /// nil when it was cancelled.
    @usableFromInline var caller: Caller?
    /// The stream of its results; nil before they have come.
    @usableFromInline var results: Tango2Receiving?
    /// The stream of its last argument; nil when there is none, or it has ended.
    @usableFromInline var arguments: Tango2Sending?

    @inlinable
    init(caller: Caller, arguments: Tango2Sending?) {
      self.caller = caller
      self.arguments = arguments
    }
  }

  /// A call of the other end that has not been answered.
  @usableFromInline
  struct Incoming: Sendable {
    @usableFromInline var isCancelled = false
    /// The stream of its results; nil before they have left.
    @usableFromInline var results: Tango2Sending?
    /// The stream of its last argument; nil when there is none, or it has ended.
    @usableFromInline var arguments: Tango2Receiving?

    @inlinable init(arguments: Tango2Receiving?) { self.arguments = arguments }
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
  @usableFromInline var hasPeerSettings = false

  @usableFromInline var outgoing = Tango2CallTable<Outgoing>()
  @usableFromInline var incoming = Tango2CallTable<Incoming>()
  @usableFromInline var nextID: UInt32
  /// Streams that arrive.
  @usableFromInline var arriving = 0

  /// A connection without calls.
  public init(_ side: Side, settings: Tango2Settings = Tango2Settings()) {
    self.side = side
    self.settings = settings
    nextID = side == .client ? 1 : 2
  }

  /// Appends the settings, with which this end begins.
  public func begin(_ output: inout OutputBuffer) { settings.append(to: &output) }

  /// Whether the other end accepts a payload of so many bytes. To be asked before a frame is
  /// closed; a result that does not fit makes way for an error.
  @inlinable
  public func fits(_ payloadBytes: Int) -> Bool { payloadBytes <= Int(peerSettings.frameBytes) }

  /// Calls of this end that have not ended, those that were cancelled included.
  @inlinable public var callsInFlight: Int { outgoing.count }

  /// Calls of the other end that have not been answered.
  @inlinable public var callsServed: Int { incoming.count }

  /// Nothing is left to be done for either end.
  public var isIdle: Bool { outgoing.isEmpty && incoming.isEmpty }

  /// This end takes no more calls from now on; a goaway frame is to be sent. Calls that run already
  /// may end.
  public mutating func drain() { isLeaving = true }

  /// The connection has ended.
  ///
  /// - Returns: the callers that wait, and the ids of the calls that are served.
  public mutating func end() -> (callers: [Caller], served: [UInt32]) {
    arriving = 0
    return (
      outgoing.removeAll().compactMap(\.entry.caller), incoming.removeAll().map(\.id)
    )
  }
}

extension Tango2Session: Sendable where Caller: Sendable {}
extension Tango2Session.Outgoing: Sendable where Caller: Sendable {}

/// Why a call is refused before anything of it has run.
public enum Tango2CallRefusal: Sendable, Hashable, CustomStringConvertible {
  case tooManyCalls(limit: UInt32)
  case leaving
  case metadataTooLong(bytes: Int, limit: UInt32)
  case tooManyStreams(limit: UInt32)

  /// What the caller is told.
  public var description: String {
    switch self {
    case .tooManyCalls(let limit): "more than \(limit) calls at a time"
    case .leaving: "the other end is about to close the connection"
    case .metadataTooLong(let bytes, let limit):
      "metadata of \(bytes) bytes, of at most \(limit)"
    case .tooManyStreams(let limit): "more than \(limit) streams at a time"
    }
  }
}
