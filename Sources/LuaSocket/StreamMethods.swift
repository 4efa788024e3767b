import MilongaIO
import MilongaLua

extension SocketLibrary {
  /// Sets `receive`, `send`, `getstats` and `setstats` in the table on top of the stack.
  func addStreamMethods(_ call: LuaCall, of clients: LuaClass<SocketObject>) {
    if isDebugging {
      call.setFunction("receive") { [self] (call) throws(LuaFailure) in
        try timed(call) { (call) throws(LuaFailure) in try receive(call, clients) }
      }
      call.setFunction("send") { [self] (call) throws(LuaFailure) in
        try timed(call) { (call) throws(LuaFailure) in try send(call, clients) }
      }
    } else {
      call.setFunction("receive") { [self] (call) throws(LuaFailure) in try receive(call, clients) }
      call.setFunction("send") { [self] (call) throws(LuaFailure) in try send(call, clients) }
    }
    call.setFunction("getstats") { [self] (call) throws(LuaFailure) in
      let socket = try check(clients, call)
      call.push(Double(socket.pointee.received))
      call.push(Double(socket.pointee.sent))
      call.push(WallClock.now() - socket.pointee.birthday)
      return .results(3)
    }
    call.setFunction("setstats") { [self] (call) throws(LuaFailure) in
      let socket = try check(clients, call)
      let received = try call.number(at: 2, default: Double(socket.pointee.received))
      let sent = try call.number(at: 3, default: Double(socket.pointee.sent))
      socket.pointee.received = received.clampedToInt
      socket.pointee.sent = sent.clampedToInt
      if let age = call.numberIfNumber(at: 4) { socket.pointee.birthday = WallClock.now() - age }
      call.push(1.0)
      return .results(1)
    }
  }

  /// Adds the seconds that the function took to its results.
  private func timed(_ call: LuaCall, _ body: LuaBody) throws(LuaFailure) -> LuaOutcome {
    let start = MonotonicTime.now()
    _ = try body(call)
    call.push(Double(MonotonicTime.now() - start) / 1e9)
    return .results(4)
  }

  /// The arguments of `receive`, at 2 and 3.
  package func receiveArguments(
    _ call: LuaCall
  ) throws(LuaFailure) -> (pattern: SocketObject.Pattern, prefix: Int) {
    let count = call.count
    let prefix = count < 3 || call.isNoneOrNil(at: 3) ? 0 : try call.bytes(at: 3).count
    if count < 2 || call.isNoneOrNil(at: 2) { return (.line, prefix) }
    if call.type(at: 2) == .string, let text = call.bytesIfString(at: 2), text.count >= 2,
      text[0] == UInt8(ascii: "*")
    {
      if text[1] == UInt8(ascii: "l") { return (.line, prefix) }
      if text[1] == UInt8(ascii: "a") { return (.all, prefix) }
    }
    guard let number = call.numberIfNumber(at: 2) else {
      _ = try call.bytes(at: 2)
      throw invalidPattern(call)
    }
    guard number >= 0 else { throw invalidPattern(call) }
    // What the prefix holds counts. When that is enough, 0 remain; 0 without a prefix waits for
    // any byte, or the end.
    return (.count(max(0, number.clampedToInt - prefix)), prefix)
  }

  private func invalidPattern(_ call: LuaCall) -> LuaFailure {
    let pattern = (call.stringIfString(at: 2) ?? "").prefix(40)
    return call.argumentFailure(
      2, "invalid receive pattern, got '\(pattern)': '*l', '*a' or a number of bytes")
  }

  /// Pushes what was received, after the prefix at 3; with a failure, as LuaSocket does: nil,
  /// message, partial. Without memory for it nothing is taken, and the call fails: the state is
  /// exhausted.
  package func pushReceived(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>, _ pattern: SocketObject.Pattern,
    prefix: Int, failure: SocketFailure?
  ) -> LuaOutcome {
    if socket.pointee.buffer.count > BufferPool.blockSize,
      !hasRoom(call, toTake: pattern, from: socket)
    {
      return .results(0)
    }
    if let failure {
      if case .memory = failure {
        call.exhaust()
        return .results(0)
      }
      call.pushNil()
      call.push(failure.text)
    }
    if prefix > 0 { call.pushValue(at: 3) }
    socket.pointee.take(pattern, pool: pool) { call.push($0) }
    if prefix > 0 { call.concatenate(2) }
    if failure == nil {
      call.pushNil()
      call.pushNil()
    }
    return .results(3)
  }

  @inline(never)
  private func hasRoom(
    _ call: LuaCall, toTake pattern: SocketObject.Pattern,
    from socket: UnsafeMutablePointer<SocketObject>
  ) -> Bool {
    let bytes =
      switch pattern {
      case .all: socket.pointee.buffer.count
      case .count(let wanted): min(socket.pointee.buffer.count, wanted)
      case .line: socket.pointee.lineLength
      }
    return bytes <= BufferPool.blockSize || call.hasRoom(for: bytes)
  }

  private func receive(
    _ call: LuaCall, _ clients: LuaClass<SocketObject>
  ) throws(LuaFailure) -> LuaOutcome {
    let socket = try check(clients, call)
    let (pattern, prefix) = try receiveArguments(call)
    call.count = 3
    if case .count(0) = pattern, prefix > 0 {
      return pushReceived(call, socket, pattern, prefix: prefix, failure: nil)
    }
    var start: Int64?
    while true {
      // A read that found less than it had room for emptied the socket: the next one begins with
      // the wait. That saves a call of the system in each round of question and answer. A read that
      // must not wait asks again: the end may be all there is, and a program that waits by other
      // means is told of the end only once.
      let waits = !socket.pointee.timeouts.isZero
      var isDrained = socket.pointee.isDrained && waits
      let progress = socket.pointee.receive(
        pattern, pool: pool, mayRead: !isDrained,
        wasShort: {
          isDrained = true
          return !waits
        })
      socket.pointee.isDrained = isDrained
      switch progress {
      case .done: return pushReceived(call, socket, pattern, prefix: prefix, failure: nil)
      case .failed(let failure):
        return pushReceived(call, socket, pattern, prefix: prefix, failure: failure)
      case .wait:
        if let failure = try wait(call, socket, .readable, &start) {
          return pushReceived(call, socket, pattern, prefix: prefix, failure: failure)
        }
        socket.pointee.isDrained = false
      }
    }
  }

  /// The arguments of `send`, at 2 to 4: the bytes, and the index of the first of them in the
  /// string.
  package func sendArguments(
    _ call: LuaCall
  ) throws(LuaFailure) -> (bytes: UnsafeRawBufferPointer, first: Int) {
    let bytes = try call.bytes(at: 2)
    if call.count == 2 { return (bytes, 1) }
    var first = try call.number(at: 3, default: 1).clampedToInt
    var last = try call.number(at: 4, default: -1).clampedToInt
    if first < 0 { first = bytes.count &+ first &+ 1 }
    if last < 0 { last = bytes.count &+ last &+ 1 }
    first = max(first, 1)
    last = min(last, bytes.count)
    guard first <= last else { return (UnsafeRawBufferPointer(start: nil, count: 0), first) }
    return (UnsafeRawBufferPointer(rebasing: bytes[(first - 1)..<last]), first)
  }

  /// Pushes the index of the last byte sent; with a failure: nil, message, index.
  package func pushSent(_ call: LuaCall, last: Int, failure: SocketFailure?) -> LuaOutcome {
    if let failure {
      call.pushFailure(failure)
      call.push(Double(last))
    } else {
      call.push(Double(last))
      call.pushNil()
      call.pushNil()
    }
    return .results(3)
  }

  private func send(
    _ call: LuaCall, _ clients: LuaClass<SocketObject>
  ) throws(LuaFailure) -> LuaOutcome {
    let socket = try check(clients, call)
    let (bytes, first) = try sendArguments(call)
    var start: Int64?
    var offset = 0
    var failure: SocketFailure?
    sending: while offset < bytes.count {
      switch socket.pointee.send(bytes, from: &offset) {
      case .done: break sending
      case .failed(let reason): failure = reason
      case .wait: failure = try wait(call, socket, .writable, &start)
      }
      if failure != nil { break }
    }
    return pushSent(call, last: offset + first - 1, failure: failure)
  }
}
