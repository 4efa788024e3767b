// What comes in for calls of the other end.
extension Tango2Session {
  @inlinable
  mutating func takeCall(
    _ frame: Tango2Frame.Header, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    guard !isOurs(frame.id), !incoming.contains(frame.id) else { throw .callID(frame.id) }
    guard frame.flags.isEmpty, callsIn < settings.calls, !isLeaving else {
      return try takeUnusualCall(frame, payload)
    }
    callsIn += 1
    lastTaken = frame.id
    incoming.insert(Incoming(), for: frame.id)
    return .call(id: frame.id, Tango2Call(message: payload))
  }

  @usableFromInline
  mutating func takeUnusualCall(
    _ frame: Tango2Frame.Header, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    let call = try Tango2Call(frame.flags, payload)
    guard call.metadata.byteCount <= settings.metadataBytes else {
      throw .metadataTooLong(bytes: call.metadata.byteCount, limit: settings.metadataBytes)
    }
    if call.hasStream, arriving >= settings.streams { throw .tooMany(.streams(settings.streams)) }
    if let refusal = try refusal(of: call) { return .refused(id: frame.id, refusal) }
    if call.hasStream { arriving += 1 }
    if call.within == nil { callsIn += 1 } else { callsWithinIn += 1 }
    lastTaken = frame.id
    let arguments = call.hasStream ? Tango2Receiving(window: settings.window) : nil
    incoming.insert(Incoming(isWithin: call.within != nil, arguments: arguments), for: frame.id)
    return .call(id: frame.id, call)
  }

  private func refusal(of call: Tango2Call) throws(Tango2Violation) -> Tango2CallRefusal? {
    if let within = call.within {
      // The other end sends no call within one that it has answered.
      guard isOurs(within), let outer = outgoing[within] else { throw .within(within) }
      guard settings.calls > 0 else { throw .tooMany(.calls(0)) }
      guard callsWithinIn < settings.callsWithin else {
        throw .tooMany(.callsWithin(settings.callsWithin))
      }
      return outer.caller == nil ? .outerCancelled : nil
    }
    if isLeaving, call.reference == nil { return .leaving }
    guard callsIn < settings.calls else { throw .tooMany(.calls(settings.calls)) }
    return nil
  }

  mutating func takeCancel(_ frame: Tango2Frame.Header) throws(Tango2Violation) -> Event {
    guard frame.payloadBytes == 0 else { throw .malformed(.cancel) }
    // The answer and the cancellation may have met on the way.
    guard let place = incoming.place(of: frame.id) else { return .nothing }
    guard !incoming.entries[place]!.isCancelled else { throw .noCall(.cancel, frame.id) }
    incoming.entries[place]!.isCancelled = true
    closeIncomingArguments(at: place)
    return .cancelled(id: frame.id)
  }

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
    if incoming.entries[place]!.arguments!.isStopped { return .droppedItems(items) }
    return .argumentItems(id: frame.id, items, payloadBytes: payload.count)
  }

  mutating func takeArgumentEnd(
    _ frame: Tango2Frame.Header, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) -> Event {
    let isFailed = frame.flags.contains(.failed)
    guard isFailed != payload.isEmpty else { throw .malformed(.end) }
    guard let place = incoming.place(of: frame.id) else {
      return isFailed ? .dropped(message: payload) : .nothing
    }
    guard let arguments = incoming.entries[place]!.arguments else {
      throw .noStream(.end, frame.id)
    }
    closeIncomingArguments(at: place)
    if arguments.isStopped { return isFailed ? .dropped(message: payload) : .nothing }
    return .argumentEnd(id: frame.id, error: isFailed ? payload : nil)
  }
}
