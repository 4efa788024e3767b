// What leaves: the owner asks before it writes a frame.
extension Tango2Session {
  /// Why a call cannot begin.
  public enum CallFailure: Error, Sendable, Hashable {
    /// The other end has not said yet what it accepts. Its settings are on their way.
    case noSettingsYet
    /// As many calls have not ended as the other end accepts; later there is room.
    case tooMany(limit: UInt32)
    /// The other end takes no more calls; another connection may.
    case leaving
  }

  /// Begins a call. A call frame with this id is to be sent.
  ///
  /// - Parameter hasStream: the last argument is a stream (``Tango2Frame/Flags/stream``).
  @inlinable
  public mutating func call(
    _ caller: Caller, hasStream: Bool = false
  ) throws(CallFailure) -> UInt32 {
    guard hasPeerSettings else { throw .noSettingsYet }
    guard !isPeerLeaving else { throw .leaving }
    guard outgoing.count < peerSettings.calls else { throw .tooMany(limit: peerSettings.calls) }
    while outgoing.contains(nextID) { advanceID() }
    let id = nextID
    advanceID()
    outgoing.insert(
      Outgoing(caller: caller, arguments: hasStream ? Tango2Sending() : nil), for: id)
    return id
  }

  /// Ids begin anew when there are no more; 0 is none.
  @inlinable
  mutating func advanceID() {
    nextID &+= 2
    if nextID == 0 { nextID = 2 }
  }

  /// Takes back a call that was begun last, and whose frame was not sent after all.
  public mutating func takeBack(_ id: UInt32) { outgoing.remove(id) }

  /// The caller does not want the answer any more.
  ///
  /// - Returns: the caller, if there is one, and a cancel frame is to be sent; nil when the call has ended.
  public mutating func cancel(_ id: UInt32) -> Caller? {
    guard let place = outgoing.place(of: id), let caller = outgoing.entries[place]!.caller else {
      return nil
    }
    if outgoing.entries[place]!.results != nil { arriving -= 1 }
    outgoing.entries[place]!.caller = nil
    outgoing.entries[place]!.arguments = nil
    return caller
  }

  /// The call was carried out, and a result frame is to be sent.
  ///
  /// - Parameter hasStream: the last result is a stream (``Tango2Frame/Flags/stream``); otherwise the call has ended.
  /// - Returns: false when there is no such call, or it has its result already; nothing is to be sent.
  @inlinable
  public mutating func answer(_ id: UInt32, hasStream: Bool = false) -> Bool {
    guard let place = incoming.place(of: id), incoming.entries[place]!.results == nil else {
      return false
    }
    if hasStream {
      incoming.entries[place]!.results = Tango2Sending()
    } else {
      finish(id, place)
    }
    return true
  }

  /// The call has failed, perhaps in the middle of its stream, and an error frame is to be sent.
  ///
  /// - Returns: false when there is no such call; nothing is to be sent.
  public mutating func fail(_ id: UInt32) -> Bool {
    guard let place = incoming.place(of: id) else { return false }
    finish(id, place)
    return true
  }

  @inlinable
  mutating func finish(_ id: UInt32, _ place: Int) {
    if incoming.entries[place]!.arguments != nil { stopArguments(place) }
    incoming.remove(id)
  }

  /// Whether the caller has cancelled the call, or there is none.
  public func isCancelled(_ id: UInt32) -> Bool { incoming[id]?.isCancelled ?? true }

  // MARK: Streams

  /// What becomes of items that are to be sent.
  public enum Sent: Sendable, Hashable {
    /// A frame with them is to be sent.
    case now
    /// The other end has to give credit first (``Event/credit(id:)``).
    case later
    /// Nobody wants them: the call has ended, or was cancelled.
    case never
  }

  /// Asks whether a frame of items may be sent: of the results of a call that is served, or of the
  /// last argument of a call of this end.
  @inlinable
  public mutating func sendItems(_ id: UInt32, payloadBytes: Int) -> Sent {
    if isOurs(id) {
      guard let place = outgoing.place(of: id), outgoing.entries[place]!.arguments != nil else {
        return .never
      }
      return outgoing.entries[place]!.arguments!.send(payloadBytes) ? .now : .later
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
  /// call has ended.
  ///
  /// - Returns: false when there is no such stream; nothing is to be sent.
  public mutating func endStream(_ id: UInt32) -> Bool {
    if isOurs(id) {
      guard let place = outgoing.place(of: id), outgoing.entries[place]!.arguments != nil else {
        return false
      }
      outgoing.entries[place]!.arguments = nil
      return true
    }
    guard let place = incoming.place(of: id), incoming.entries[place]!.results != nil else {
      return false
    }
    finish(id, place)
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
    guard let place = incoming.place(of: id) else { return nil }
    return incoming.entries[place]!.arguments?.consume(payloadBytes)
  }
}
