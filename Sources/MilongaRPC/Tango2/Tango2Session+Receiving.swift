// What comes in.
extension Tango2Session {
  /// Takes the frame at the start of `bytes`; what the event shows lies in `bytes`.
  ///
  /// - Returns: what there is to do, and how many bytes the frame has: 0 when none was taken.
  @inlinable
  public mutating func next(in bytes: UnsafeRawBufferPointer) -> (event: Event, bytes: Int) {
    switch Tango2Frame.next(
      in: bytes, maxBytes: Int(settings.frameBytes), maxItemBytes: Int(settings.itemBytes))
    {
    case .incomplete(let needed): return (.incomplete(needed: needed), 0)
    case .original: return (original, 0)
    case .unknown(let bytes): return (.nothing, bytes)
    case .invalid(let violation): return (.violation(violation), 0)
    case .frame(let header):
      let whole = Tango2Frame.headerBytes + header.payloadBytes
      let payload = UnsafeRawBufferPointer(rebasing: bytes[Tango2Frame.headerBytes..<whole])
      do throws(Tango2Violation) {
        return (try take(header, payload), whole)
      } catch {
        return (.violation(error), 0)
      }
    }
  }

  /// A client awaits so many answers; a server takes calls until the client's settings.
  @usableFromInline
  var original: Event {
    let isExpected = side == .client ? originals > 0 : !hasPeerSettings
    return isExpected ? .original : .violation(.original)
  }

  @inlinable
  mutating func take(
    _ frame: Tango2Frame.Header, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    guard frame.kind.hasID, hasPeerSettings else { return try takeGeneral(frame, payload) }
    switch frame.kind {
    case .call: return try takeCall(frame, payload)
    case .result where isOurs(frame.id): return try takeResult(frame, payload)
    default: return try takeRest(frame, payload)
    }
  }

  @usableFromInline
  mutating func takeRest(
    _ frame: Tango2Frame.Header, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    let isOurs = isOurs(frame.id)
    switch frame.kind {
    case .error where isOurs: return try takeError(frame, payload)
    case .cancel: return isOurs ? try takeStop(frame) : try takeCancel(frame)
    case .items:
      return isOurs ? try takeItems(frame, payload) : try takeArgumentItems(frame, payload)
    case .end: return isOurs ? try takeEnd(frame) : try takeArgumentEnd(frame, payload)
    case .credit: return try takeCredit(frame, payload)
    default: throw .noCall(frame.kind, frame.id)
    }
  }

  /// Whether a call with this id is one of this end.
  @inlinable
  func isOurs(_ id: UInt32) -> Bool { id & 1 == (side == .client ? 1 : 0) }

  // MARK: Frames of no call

  @usableFromInline
  mutating func takeGeneral(
    _ frame: Tango2Frame.Header, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    guard hasPeerSettings else {
      guard frame.kind == .settings else { throw .noSettings(frame.kind) }
      return try takeSettings(payload)
    }
    switch frame.kind {
    case .settings: throw .again(.settings)
    case .release:
      guard payload.count.isMultiple(of: 8) else { throw .malformed(.release) }
      return .release(payload)
    case .ping, .pong:
      guard payload.count <= Tango2Frame.pingBytes else { throw .malformed(frame.kind) }
      return frame.kind == .ping ? .ping(payload) : .pong(payload)
    default: return try takeGoaway(payload)
    }
  }

  private mutating func takeSettings(
    _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    let peer = try Tango2Settings(payload)
    guard peer.codec == settings.codec else {
      throw .codec(mine: settings.codec, theirs: peer.codec)
    }
    peerSettings = peer
    hasPeerSettings = true
    callLimit = isLeaving ? 0 : peer.calls
    return .settings
  }

  private mutating func takeGoaway(
    _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    guard !isPeerLeaving else { throw .again(.goaway) }
    guard payload.count >= 4 else { throw .malformed(.goaway) }
    let id = UInt32(bigEndian: payload.loadUnaligned(as: UInt32.self))
    guard id == 0 || isOurs(id) else { throw .malformed(.goaway) }
    isPeerLeaving = true
    callLimit = 0
    // The last id that was given is below the next one, or from the round before.
    if id != 0 { lastTakenByPeer = (id < nextID ? round : round &- 1, id) }
    return .goaway(reason: UnsafeRawBufferPointer(rebasing: payload[4...]))
  }

  // MARK: Answers to calls of this end

  @inlinable
  mutating func takeResult(
    _ frame: Tango2Frame.Header, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    guard let place = outgoing.place(of: frame.id), outgoing.entries[place]!.results == nil else {
      throw .noCall(.result, frame.id)
    }
    if frame.flags.contains(.stream) { return try takeStream(frame.id, place, payload) }
    guard let caller = removeOutgoing(at: place).caller else { return .dropped(message: payload) }
    return .result(caller, message: payload)
  }

  @usableFromInline
  mutating func takeStream(
    _ id: UInt32, _ place: Int, _ message: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    guard arriving < settings.streams else { throw .tooMany(.streams(settings.streams)) }
    arriving += 1
    outgoing.entries[place]!.results = Tango2Receiving(window: settings.window)
    guard let caller = outgoing.entries[place]!.caller else { return .dropped(message: message) }
    return .stream(id: id, caller, message: message)
  }

  private mutating func takeError(
    _ frame: Tango2Frame.Header, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    guard let place = outgoing.place(of: frame.id) else { throw .noCall(.error, frame.id) }
    let call = removeOutgoing(at: place)
    guard let caller = call.caller else { return .dropped(message: payload) }
    let refusal = Tango2Refusal(rawValue: frame.flags.rawValue)!
    let mayRetry = refusal == .notCalled && call.traits.mayRetry
    return .error(caller, refusal, mayRetry: mayRetry, message: payload)
  }

  private mutating func takeItems(
    _ frame: Tango2Frame.Header, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    guard let items = Tango2Items(payload) else { throw .malformed(.items) }
    guard let place = outgoing.place(of: frame.id) else { throw .noCall(.items, frame.id) }
    guard outgoing.entries[place]!.results != nil else { throw .noStream(.items, frame.id) }
    guard outgoing.entries[place]!.results!.receive(payload.count) else {
      throw .beyondCredit(frame.id)
    }
    guard let caller = outgoing.entries[place]!.caller else { return .droppedItems(items) }
    return .items(caller, id: frame.id, items, payloadBytes: payload.count)
  }

  private mutating func takeEnd(_ frame: Tango2Frame.Header) throws(Tango2Violation) -> Event {
    // Results that fail end with an error frame.
    guard !frame.flags.contains(.failed), frame.payloadBytes == 0 else { throw .malformed(.end) }
    guard let place = outgoing.place(of: frame.id) else { throw .noCall(.end, frame.id) }
    guard outgoing.entries[place]!.results != nil else { throw .noStream(.end, frame.id) }
    guard let caller = removeOutgoing(at: place).caller else { return .nothing }
    return .end(caller)
  }

  /// The other end wants no more of an argument.
  private mutating func takeStop(_ frame: Tango2Frame.Header) throws(Tango2Violation) -> Event {
    guard frame.payloadBytes == 0 else { throw .malformed(.cancel) }
    guard let place = outgoing.place(of: frame.id) else { throw .noCall(.cancel, frame.id) }
    // Its end has met this frame on the way.
    guard outgoing.entries[place]!.arguments != nil else { return .nothing }
    closeOutgoingArguments(at: place)
    return .argumentsUnwanted(id: frame.id)
  }

  // MARK: Credit

  private mutating func takeCredit(
    _ frame: Tango2Frame.Header, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    guard payload.count == 4 else { throw .malformed(.credit) }
    let bytes = UInt32(bigEndian: payload.loadUnaligned(as: UInt32.self))
    let isTaken: Bool?
    if isOurs(frame.id) {
      guard let place = outgoing.place(of: frame.id) else { return .nothing }
      isTaken = outgoing.entries[place]!.arguments?.take(bytes)
    } else {
      guard let place = incoming.place(of: frame.id) else { return .nothing }
      isTaken = incoming.entries[place]!.results?.take(bytes)
    }
    switch isTaken {
    case true?: return .credit(id: frame.id)
    case false?: throw .badCredit(frame.id)
    // The stream has ended here, and the other end does not know it yet.
    case nil: return .nothing
    }
  }
}
