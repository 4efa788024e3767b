import Glibc
import IO
import Lua
import SystemPackage

extension SocketLibrary {
  /// Sets the methods of TCP objects in the table on top of the stack.
  func addTCPMethods(_ call: LuaCall) {
    call.setFunction("receive") { [self] (call) throws(LuaFailure) in try receive(call) }
    call.setFunction("send") { [self] (call) throws(LuaFailure) in try send(call) }
    call.setFunction("accept") { [self] (call) throws(LuaFailure) in try accept(call) }
    call.setFunction("bind") { [self] (call) throws(LuaFailure) in try bind(call) }
    call.setFunction("setsockname") { [self] (call) throws(LuaFailure) in try bind(call) }
    call.setFunction("connect") { [self] (call) throws(LuaFailure) in try connect(call) }
    call.setFunction("setpeername") { [self] (call) throws(LuaFailure) in
      try connect(call)
    }
    call.setFunction("listen") { [self] (call) throws(LuaFailure) in try listen(call) }
    call.setFunction("shutdown") { [self] (call) throws(LuaFailure) in
      try shutdown(call)
    }
    call.setFunction("close") { [self] (call) throws(LuaFailure) in
      close(&(try checkTCP(call).pointee))
      call.push(1.0)
      return .results(1)
    }
    addTCPProperties(call)
    call.setFunction("getoption") { [self] (call) throws(LuaFailure) in
      try getOption(call, of: checkTCP(call).pointee.socket)
    }
    call.setFunction("setoption") { [self] (call) throws(LuaFailure) in
      try setOption(call, of: checkTCP(call).pointee.socket)
    }
  }

  private func addTCPProperties(_ call: LuaCall) {
    call.setFunction("getfd") { [self] (call) throws(LuaFailure) in
      call.push(Double(try checkTCP(call).pointee.descriptor))
      return .results(1)
    }
    call.setFunction("setfd") { [self] (call) throws(LuaFailure) in
      let socket = try checkTCP(call)
      let descriptor = Int32(clamping: Int(try call.number(at: 2).clampedToInt))
      if socket.pointee.isWatched {
        socket.pointee.isWatched = false
        willClose?(socket.pointee.descriptor)
      }
      socket.pointee.descriptor = descriptor
      return .results(0)
    }
    call.setFunction("dirty") { [self] (call) throws(LuaFailure) in
      call.push(!(try checkTCP(call).pointee.buffer.isEmpty))
      return .results(1)
    }
    call.setFunction("getfamily") { [self] (call) throws(LuaFailure) in
      call.push(try checkTCP(call).pointee.family == AF_INET6 ? "inet6" : "inet4")
      return .results(1)
    }
    call.setFunction("getsockname") { [self] (call) throws(LuaFailure) in
      let socket = try checkTCP(call).pointee
      return pushName(call, socket.family) { () throws(Errno) in try socket.socket.localAddress() }
    }
    call.setFunction("getpeername") { [self] (call) throws(LuaFailure) in
      let socket = try checkTCP(call).pointee
      return pushName(call, socket.family) { () throws(Errno) in try socket.socket.peerAddress() }
    }
    call.setFunction("settimeout") { [self] (call) throws(LuaFailure) in
      let socket = try checkTCP(call)
      let seconds = try call.number(at: 2, default: -1)
      switch try call.string(at: 3, default: "b").utf8.first {
      case UInt8(ascii: "b"): socket.pointee.timeouts.block = seconds
      case UInt8(ascii: "r"), UInt8(ascii: "t"): socket.pointee.timeouts.total = seconds
      default: throw call.argumentFailure(3, "invalid timeout mode")
      }
      call.push(1.0)
      return .results(1)
    }
    call.setFunction("gettimeout") { [self] (call) throws(LuaFailure) in
      let socket = try checkTCP(call)
      call.push(socket.pointee.timeouts.block)
      call.push(socket.pointee.timeouts.total)
      return .results(2)
    }
    call.setFunction("getstats") { [self] (call) throws(LuaFailure) in
      let socket = try check(client, call)
      call.push(Double(socket.pointee.received))
      call.push(Double(socket.pointee.sent))
      call.push(WallClock.now() - socket.pointee.birthday)
      return .results(3)
    }
    call.setFunction("setstats") { [self] (call) throws(LuaFailure) in
      let socket = try check(client, call)
      let received = try call.number(at: 2, default: Double(socket.pointee.received))
      let sent = try call.number(at: 3, default: Double(socket.pointee.sent))
      socket.pointee.received = received.clampedToInt
      socket.pointee.sent = sent.clampedToInt
      if let age = call.numberIfNumber(at: 4) { socket.pointee.birthday = WallClock.now() - age }
      call.push(1.0)
      return .results(1)
    }
  }

  // MARK: Moving bytes

  /// The arguments of `receive`, at 2 and 3.
  public func receiveArguments(
    _ call: LuaCall
  ) throws(LuaFailure) -> (pattern: TCPSocket.Pattern, prefix: Int) {
    let prefix = call.isNoneOrNil(at: 3) ? 0 : try call.bytes(at: 3).count
    if let number = call.numberIfNumber(at: 2) {
      guard number >= 0 else { throw call.argumentFailure(2, "invalid receive pattern") }
      // What the prefix holds counts. When that is enough, 0 remain; 0 without a prefix waits for
      // any byte, or the end.
      return (.count(max(0, number.clampedToInt - prefix)), prefix)
    }
    guard !call.isNoneOrNil(at: 2) else { return (.line, prefix) }
    let text = try call.bytes(at: 2)
    if text.count >= 2, text[0] == UInt8(ascii: "*") {
      if text[1] == UInt8(ascii: "l") { return (.line, prefix) }
      if text[1] == UInt8(ascii: "a") { return (.all, prefix) }
    }
    throw call.argumentFailure(2, "invalid receive pattern")
  }

  /// Pushes what was received, after the prefix at 3; with a failure, as LuaSocket does:
  /// nil, message, partial.
  public func pushReceived(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<TCPSocket>, _ pattern: TCPSocket.Pattern,
    prefix: Int, failure: SocketFailure?
  ) -> LuaOutcome {
    if let failure {
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

  private func receive(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try check(client, call)
    let (pattern, prefix) = try receiveArguments(call)
    call.count = 3
    if case .count(0) = pattern, prefix > 0 {
      return pushReceived(call, socket, pattern, prefix: prefix, failure: nil)
    }
    var start: Int64?
    while true {
      switch socket.pointee.receive(pattern, pool: pool) {
      case .done: return pushReceived(call, socket, pattern, prefix: prefix, failure: nil)
      case .failed(let failure):
        return pushReceived(call, socket, pattern, prefix: prefix, failure: failure)
      case .wait:
        if let failure = wait(socket, .readable, &start) {
          return pushReceived(call, socket, pattern, prefix: prefix, failure: failure)
        }
      }
    }
  }

  /// The arguments of `send`, at 2 to 4: the bytes, and the index of the first of them in the string.
  public func sendArguments(
    _ call: LuaCall
  ) throws(LuaFailure) -> (bytes: UnsafeRawBufferPointer, first: Int) {
    let bytes = try call.bytes(at: 2)
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
  public func pushSent(_ call: LuaCall, last: Int, failure: SocketFailure?) -> LuaOutcome {
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

  private func send(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try check(client, call)
    let (bytes, first) = try sendArguments(call)
    var start: Int64?
    var offset = 0
    var failure: SocketFailure?
    sending: while offset < bytes.count {
      switch socket.pointee.send(bytes, from: &offset) {
      case .done: break sending
      case .failed(let reason): failure = reason
      case .wait: failure = wait(socket, .writable, &start)
      }
      if failure != nil { break }
    }
    return pushSent(call, last: offset + first - 1, failure: failure)
  }

  /// Waits as the socket's timeouts say; `start` is set by the first wait of an operation.
  private func wait(
    _ socket: UnsafeMutablePointer<TCPSocket>, _ readiness: Readiness, _ start: inout Int64?
  ) -> SocketFailure? {
    let timeouts = socket.pointee.timeouts
    if timeouts.isZero { return .timeout }
    let now = MonotonicTime.now()
    let began = start ?? now
    start = began
    return SocketTimeouts.wait(
      socket.pointee.descriptor, for: readiness, until: timeouts.deadline(start: began, now: now))
  }

  // MARK: Connections

  private func accept(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try check(server, call)
    guard socket.pointee.descriptor >= 0 else { return call.pushFailure(.closed) }
    var start: Int64?
    while true {
      do throws(Errno) {
        if let accepted = try socket.pointee.socket.accept() {
          pushClient(accepted, family: socket.pointee.family, onto: call)
          return .results(1)
        }
      } catch {
        return call.pushFailure(.system(error))
      }
      if let failure = wait(socket, .readable, &start) { return call.pushFailure(failure) }
    }
  }

  /// `*` is every interface.
  func passiveHost(_ call: LuaCall, at index: Int) throws(LuaFailure) -> String? {
    let host = try call.string(at: index)
    return host == "*" ? nil : host
  }

  private func bind(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try check(master, call)
    let query = ResolverQuery(
      host: try passiveHost(call, at: 2), service: try call.string(at: 3),
      family: socket.pointee.family, passive: true)
    switch Resolver.resolve(query) {
    case .failure(let error): return call.pushFailure(.resolver(error))
    case .success(let addresses):
      if let failure = bind(socket, to: addresses) { return call.pushFailure(failure) }
    }
    call.push(1.0)
    return .results(1)
  }

  private func connect(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try checkTCP(call)
    let query = ResolverQuery(
      host: try call.string(at: 2), service: try call.string(at: 3),
      family: socket.pointee.family)
    let family = socket.pointee.family
    let failure = connect(socket, query)
    // The next attempt makes a new socket, unless this one is under way.
    if failure != nil, !socket.pointee.timeouts.isZero { socket.pointee.family = family }
    client.adopt(call, at: 1)
    if let failure { return call.pushFailure(failure) }
    call.push(1.0)
    return .results(1)
  }

  /// Resolves and connects, waiting as the socket's timeouts say.
  func connect(
    _ socket: UnsafeMutablePointer<TCPSocket>, _ query: ResolverQuery
  ) -> SocketFailure? {
    let addresses: [SocketAddress]
    switch Resolver.resolve(query) {
    case .failure(let error): return .resolver(error)
    case .success(let found): addresses = found
    }
    var attempt = ConnectAttempt(addresses)
    while true {
      switch attempt.proceed(socket, replace: { open(socket, family: $0) }) {
      case .done: return nil
      case .failed(let failure): return failure
      case .wait:
        // Each address has its own time.
        var start: Int64?
        if let failure = wait(socket, .writable, &start) {
          if failure != .timeout || socket.pointee.timeouts.isZero { return failure }
          attempt.giveUp()
          // A connect cannot be taken back: the next address needs a new socket.
          if attempt.hasMore, let failure = open(socket, family: socket.pointee.family) {
            return failure
          }
        }
      }
    }
  }

  private func listen(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try check(master, call)
    let backlog = Int32(clamping: try call.number(at: 2, default: 32).clampedToInt)
    do throws(Errno) {
      try socket.pointee.socket.listen(backlog: backlog)
    } catch {
      return call.pushFailure(.system(error))
    }
    server.adopt(call, at: 1)
    call.push(1.0)
    return .results(1)
  }

  private func shutdown(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try check(client, call)
    let direction: Socket.Direction
    switch try call.string(at: 2, default: "both") {
    case "receive": direction = .receive
    case "send": direction = .send
    case "both": direction = .both
    case let other: throw call.argumentFailure(2, "invalid option '\(other)'")
    }
    try? socket.pointee.socket.shutdown(direction)
    call.push(1.0)
    return .results(1)
  }

  private func pushName(
    _ call: LuaCall, _ family: Int32, _ name: () throws(Errno) -> SocketAddress
  ) -> LuaOutcome {
    do throws(Errno) {
      let address = try name()
      call.push(address.numericHost)
      call.push(Int(address.port ?? 0))
      switch family {
      case AF_INET: call.push("inet")
      case AF_INET6: call.push("inet6")
      case AF_UNSPEC: call.push("unspec")
      default: call.push("unknown")
      }
      return .results(3)
    } catch {
      return call.pushFailure(.system(error))
    }
  }
}

extension Double {
  /// The integer part, within the range of Int; 0 for NaN.
  public var clampedToInt: Int {
    if isNaN { return 0 }
    return Int(exactly: rounded(.towardZero)) ?? (self < 0 ? .min : .max)
  }
}
