// What leaves: the owner asks before it closes a frame.
extension Tango2Session {
  // MARK: Calls

  /// Whether a call may begin now that is neither of a reference nor within another.
  @inlinable public var hasRoomForCall: Bool { callsOut < callLimit }

  /// Whether a stream to the other end may begin now.
  @inlinable public var hasRoomForStream: Bool {
    hasPeerSettings && departing < peerSettings.streams
  }

  /// Begins a call. A call frame with this id is to be sent: there is no way back.
  ///
  /// - Parameters:
  ///   - flags: those of the frame.
  ///   - within: the id of the served call within which this one is made, with that flag.
  @inlinable
  public mutating func call(
    _ caller: Caller, _ flags: Tango2Frame.Flags = [], within: UInt32 = 0
  ) throws(Tango2CallFailure) -> UInt32 {
    guard callsOut < callLimit, flags.isDisjoint(with: [.stream, .reference, .within]) else {
      return try unusualCall(caller, flags, within: within)
    }
    let id = takeID()
    callsOut += 1
    outgoing.insert(Outgoing(caller: caller, round: round), for: id)
    return id
  }

  @usableFromInline
  mutating func unusualCall(
    _ caller: Caller, _ flags: Tango2Frame.Flags, within: UInt32
  ) throws(Tango2CallFailure) -> UInt32 {
    if let failure = failure(flags, within: within) { throw failure }
    var traits: Tango2CallTraits = []
    if flags.contains(.reference) { traits.insert(.reference) }
    if flags.contains(.within) {
      traits.insert(.within)
      callsWithinOut += 1
    } else {
      callsOut += 1
    }
    var arguments: Tango2Sending?
    if flags.contains(.stream) {
      arguments = Tango2Sending(window: peerSettings.window)
      departing += 1
    }
    let id = takeID()
    outgoing.insert(
      Outgoing(caller: caller, round: round, traits: traits, arguments: arguments), for: id)
    return id
  }

  private func failure(_ flags: Tango2Frame.Flags, within: UInt32) -> Tango2CallFailure? {
    let peer = peerSettings
    guard hasPeerSettings else { return .noSettingsYet }
    if peer.calls == 0 { return .servesNothing }
    if flags.contains(.within) {
      guard let outer = incoming[within], !outer.isCancelled else { return .outerEnded }
      if callsWithinOut >= peer.callsWithin { return .tooDeep(limit: peer.callsWithin) }
    } else {
      if isPeerLeaving || isLeaving, !flags.contains(.reference) { return .leaving }
      if callsOut >= peer.calls { return .tooMany(.calls(peer.calls)) }
    }
    if flags.contains(.stream) {
      if peer.streams == 0 { return .takesNoStreams }
      if departing >= peer.streams { return .tooMany(.streams(peer.streams)) }
    }
    return nil
  }

  /// The next id that is free. Ids begin anew when there are no more; 0 is none.
  @inlinable
  mutating func takeID() -> UInt32 {
    while outgoing.contains(nextID) { advanceID() }
    let id = nextID
    advanceID()
    return id
  }

  @inlinable
  mutating func advanceID() {
    nextID &+= 2
    if nextID < 2 { beginIDsAnew() }
    if nextID == 0 { nextID = 2 }
  }

  @usableFromInline
  mutating func beginIDsAnew() { round &+= 1 }

  /// The caller does not want the answer any more. The call runs, and counts, until its last frame
  /// has come.
  ///
  /// - Returns: the caller, if there is one, and a cancel frame is to be sent; nil when the call
  ///   has ended.
  public mutating func cancel(_ id: UInt32) -> Caller? {
    guard isOurs(id), let place = outgoing.place(of: id),
      let caller = outgoing.entries[place]!.caller
    else { return nil }
    outgoing.entries[place]!.caller = nil
    closeOutgoingArguments(at: place)
    return caller
  }

  // MARK: Answers

  /// The call was carried out, and a result frame is to be sent.
  ///
  /// - Parameter hasStream: one more result is a stream (``Tango2Frame/Flags/stream``); otherwise
  ///   the call has ended.
  /// - Returns: whether it may be sent. `.later`: as many streams leave as the other end accepts.
  ///   `.never`: there is no such call, it has its result, or it is to have a stream and was
  ///   cancelled, or the other end takes none: ``fail(_:)`` it.
  @inlinable
  public mutating func answer(_ id: UInt32, hasStream: Bool = false) -> Tango2Permission {
    guard let place = incoming.place(of: id), incoming.entries[place]!.results == nil else {
      return .never
    }
    if hasStream { return openResults(at: place) }
    removeIncoming(at: place)
    return .now
  }

  @usableFromInline
  mutating func openResults(at place: Int) -> Tango2Permission {
    if incoming.entries[place]!.isCancelled || peerSettings.streams == 0 { return .never }
    guard departing < peerSettings.streams else { return .later }
    departing += 1
    incoming.entries[place]!.results = Tango2Sending(window: peerSettings.window)
    return .now
  }

  /// The call has failed, perhaps in the middle of its stream, and an error frame is to be sent.
  ///
  /// - Returns: false when there is no such call; nothing is to be sent.
  public mutating func fail(_ id: UInt32) -> Bool {
    guard let place = incoming.place(of: id) else { return false }
    removeIncoming(at: place)
    return true
  }

  /// Whether the caller has cancelled the call, or there is none.
  public func isCancelled(_ id: UInt32) -> Bool { incoming[id]?.isCancelled ?? true }

  // MARK: Streams

  /// Asks whether a frame of items may be sent: of the results of a call that is served, or of the
  /// argument of a call of this end. `.later`: the other end has to give credit first.
  @inlinable
  public mutating func sendItems(_ id: UInt32, payloadBytes: Int) -> Tango2Permission {
    if isOurs(id) {
      guard let place = outgoing.place(of: id), outgoing.entries[place]!.arguments != nil else {
        return .never
      }
      guard outgoing.entries[place]!.arguments!.send(payloadBytes) else { return .later }
      outgoing.entries[place]!.traits.insert(.sentItems)
      return .now
    }
    guard let place = incoming.place(of: id), incoming.entries[place]!.results != nil,
      !incoming.entries[place]!.isCancelled
    else { return .never }
    return incoming.entries[place]!.results!.send(payloadBytes) ? .now : .later
  }

  /// Bytes of a stream that may be sent now; 0 when there is no such stream.
  public func credit(_ id: UInt32) -> Int {
    Int((isOurs(id) ? outgoing[id]?.arguments : incoming[id]?.results)?.credit ?? 0)
  }

  /// The stream has no more items, and an end frame is to be sent. With the results' stream the
  /// call has ended. An argument's stream that has failed ends with ``Tango2Frame/Flags/failed``;
  /// results that have failed end by ``fail(_:)``.
  ///
  /// - Returns: false when there is no such stream; nothing is to be sent.
  public mutating func endStream(_ id: UInt32) -> Bool {
    if isOurs(id) {
      guard let place = outgoing.place(of: id), outgoing.entries[place]!.arguments != nil else {
        return false
      }
      closeOutgoingArguments(at: place)
      return true
    }
    guard let place = incoming.place(of: id), incoming.entries[place]!.results != nil else {
      return false
    }
    removeIncoming(at: place)
    return true
  }

  /// The function does not want more items of its argument; the call goes on.
  ///
  /// - Returns: whether a cancel frame is to be sent; false when the stream has ended.
  public mutating func stopArguments(_ id: UInt32) -> Bool {
    guard let place = incoming.place(of: id),
      incoming.entries[place]!.arguments?.isStopped == false
    else { return false }
    incoming.entries[place]!.arguments!.isStopped = true
    return true
  }

  /// The items of a frame were consumed.
  ///
  /// - Returns: credit to give; nil when no credit frame is to be sent.
  public mutating func consumed(_ id: UInt32, payloadBytes: Int) -> UInt32? {
    if isOurs(id) {
      guard let place = outgoing.place(of: id), outgoing.entries[place]!.caller != nil else {
        return nil
      }
      return outgoing.entries[place]!.results?.consume(payloadBytes)
    }
    guard let place = incoming.place(of: id),
      incoming.entries[place]!.arguments?.isStopped == false
    else { return nil }
    return incoming.entries[place]!.arguments?.consume(payloadBytes)
  }
}
