// What comes in.
extension Tango2Session {
  /// Takes the frame at the start of `bytes`; what the event shows lies in `bytes`.
  ///
  /// - Returns: what there is to do, and how many bytes the frame has: 0 when none was taken.
  @inlinable
  public mutating func next(in bytes: UnsafeRawBufferPointer) -> (event: Event, bytes: Int) {
    switch Tango2Frame.next(in: bytes, maxBytes: Int(settings.frameBytes)) {
    case .incomplete(let needed): return (.incomplete(needed: needed), 0)
    case .original: return (.original, 0)
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

  @inlinable
  mutating func take(
    _ frame: Tango2Frame.Header, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    guard frame.kind.hasID, hasPeerSettings else { return try takeGeneral(frame, payload) }
    switch frame.kind {
    case .call: return try takeCall(frame, payload)
    case .result where isOurs(frame.id): return try takeResult(frame, payload)
    case .error where isOurs(frame.id): return try takeError(frame, payload)
    case .cancel where !isOurs(frame.id): return try takeCancel(frame)
    case .items:
      return isOurs(frame.id)
        ? try takeItems(frame, payload) : try takeArgumentItems(frame, payload)
    case .end: return isOurs(frame.id) ? try takeEnd(frame) : try takeArgumentEnd(frame)
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
      peerSettings = try Tango2Settings(payload)
      hasPeerSettings = true
      return .settings
    }
    switch frame.kind {
    case .settings: throw .lateSettings
    case .release:
      guard payload.count.isMultiple(of: 8) else { throw .malformed(.release) }
      return .release(payload)
    case .ping: return .ping(payload)
    case .pong: return .pong(payload)
    default:
      isPeerLeaving = true
      return .goaway(payload)
    }
  }

  // MARK: Calls of the other end

  @inlinable
  mutating func takeCall(
    _ frame: Tango2Frame.Header, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    guard !isOurs(frame.id), !incoming.contains(frame.id) else { throw .callID(frame.id) }
    let call = try Tango2Call(frame.flags, payload)
    if isLeaving || incoming.count >= settings.calls || !call.metadata.isEmpty || call.hasStream,
      let refusal = refusal(of: call)
    {
      return .refused(id: frame.id, refusal)
    }
    if call.hasStream { arriving += 1 }
    incoming.insert(
      Incoming(arguments: call.hasStream ? Tango2Receiving() : nil), for: frame.id)
    return .call(id: frame.id, call)
  }

  @usableFromInline
  func refusal(of call: Tango2Call) -> Tango2CallRefusal? {
    if isLeaving { return .leaving }
    if incoming.count >= settings.calls { return .tooManyCalls(limit: settings.calls) }
    if call.metadata.byteCount > settings.metadataBytes {
      return .metadataTooLong(bytes: call.metadata.byteCount, limit: settings.metadataBytes)
    }
    if call.hasStream, arriving >= settings.streams {
      return .tooManyStreams(limit: settings.streams)
    }
    return nil
  }

  @usableFromInline
  mutating func takeCancel(_ frame: Tango2Frame.Header) throws(Tango2Violation) -> Event {
    guard frame.payloadBytes == 0 else { throw .malformed(.cancel) }
    // The answer and the cancellation may have met on the way.
    guard let place = incoming.place(of: frame.id) else { return .nothing }
    guard !incoming.entries[place]!.isCancelled else { throw .noCall(.cancel, frame.id) }
    incoming.entries[place]!.isCancelled = true
    stopArguments(place)
    return .cancelled(id: frame.id)
  }

  /// No more items of the last argument come, or are wanted.
  @usableFromInline
  mutating func stopArguments(_ place: Int) {
    guard incoming.entries[place]!.arguments != nil else { return }
    incoming.entries[place]!.arguments = nil
    arriving -= 1
  }

  @usableFromInline
  mutating func takeArgumentItems(
    _ frame: Tango2Frame.Header, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    guard let items = Tango2Items(payload) else { throw .malformed(.items) }
    // The caller does not know yet that the call has ended.
    guard let place = incoming.place(of: frame.id) else { return .droppedItems(items) }
    guard incoming.entries[place]!.arguments != nil else { throw .noStream(.items, frame.id) }
    guard incoming.entries[place]!.arguments!.receive(payload.count) else {
      throw .beyondCredit(frame.id)
    }
    return .argumentItems(id: frame.id, items, payloadBytes: payload.count)
  }

  @usableFromInline
  mutating func takeArgumentEnd(_ frame: Tango2Frame.Header) throws(Tango2Violation) -> Event {
    guard frame.payloadBytes == 0 else { throw .malformed(.end) }
    guard let place = incoming.place(of: frame.id) else { return .nothing }
    guard incoming.entries[place]!.arguments != nil else { throw .noStream(.end, frame.id) }
    stopArguments(place)
    return .argumentEnd(id: frame.id)
  }

  // MARK: Answers to calls of this end

  @inlinable
  mutating func takeResult(
    _ frame: Tango2Frame.Header, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    guard let place = outgoing.place(of: frame.id), outgoing.entries[place]!.results == nil else {
      throw .noCall(.result, frame.id)
    }
    if frame.flags.contains(.stream) { return takeStream(frame.id, place, payload) }
    let caller = outgoing.remove(frame.id)!.caller
    guard let caller else { return .dropped(message: payload) }
    return .result(caller, message: payload)
  }

  @usableFromInline
  mutating func takeStream(
    _ id: UInt32, _ place: Int, _ message: UnsafeRawBufferPointer
  ) -> Event {
    outgoing.entries[place]!.results = Tango2Receiving()
    guard let caller = outgoing.entries[place]!.caller else { return .dropped(message: message) }
    guard arriving < settings.streams else {
      outgoing.entries[place]!.caller = nil
      outgoing.entries[place]!.arguments = nil
      return .streamRefused(id: id, caller, message: message)
    }
    arriving += 1
    return .stream(id: id, caller, message: message)
  }

  @usableFromInline
  mutating func takeError(
    _ frame: Tango2Frame.Header, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    guard let call = outgoing.remove(frame.id) else { throw .noCall(.error, frame.id) }
    guard let caller = call.caller else { return .dropped(message: payload) }
    if call.results != nil { arriving -= 1 }
    return .error(caller, Tango2Refusal(rawValue: frame.flags.rawValue)!, message: payload)
  }

  @usableFromInline
  mutating func takeItems(
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

  @usableFromInline
  mutating func takeEnd(_ frame: Tango2Frame.Header) throws(Tango2Violation) -> Event {
    guard frame.payloadBytes == 0 else { throw .malformed(.end) }
    guard let place = outgoing.place(of: frame.id) else { throw .noCall(.end, frame.id) }
    guard outgoing.entries[place]!.results != nil else { throw .noStream(.end, frame.id) }
    guard let caller = outgoing.remove(frame.id)!.caller else { return .nothing }
    arriving -= 1
    return .end(caller)
  }

  // MARK: Credit

  @usableFromInline
  mutating func takeCredit(
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
