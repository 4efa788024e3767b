import Glibc
import MilongaIO
import MilongaLua
import SystemPackage

// What objects of several kinds have in common. The functions set methods in the table on top of
// the stack; `sockets` are the classes whose objects the methods take.
extension SocketLibrary {
  typealias SocketGroup = LuaClassGroup<SocketObject>

  /// `close`, `getfd`, `setfd`, `dirty`, `settimeout`.
  func addDescriptorMethods(_ call: LuaCall, of sockets: SocketGroup) {
    call.setFunction("close") { [self] (call) throws(LuaFailure) in
      close(&(try check(sockets, call).pointee))
      call.push(1.0)
      return .results(1)
    }
    call.setFunction("getfd") { [self] (call) throws(LuaFailure) in
      call.push(Double(try check(sockets, call).pointee.descriptor))
      return .results(1)
    }
    call.setFunction("setfd") { [self] (call) throws(LuaFailure) in
      let socket = try check(sockets, call)
      let descriptor = Int32(clamping: Int(try call.number(at: 2).clampedToInt))
      if socket.pointee.descriptor >= 0 { willGiveUpDescriptor?(&socket.pointee) }
      socket.pointee.descriptor = descriptor
      socket.pointee.isDrained = false
      return .results(0)
    }
    call.setFunction("dirty") { [self] (call) throws(LuaFailure) in
      call.push(!(try check(sockets, call).pointee.buffer.isEmpty))
      return .results(1)
    }
    call.setFunction("settimeout") { [self] (call) throws(LuaFailure) in
      let socket = try check(sockets, call)
      let seconds = try call.number(at: 2, default: -1)
      let mode = try call.string(at: 3, default: "b")
      switch mode.utf8.first {
      case UInt8(ascii: "b"): socket.pointee.timeouts.block = seconds
      case UInt8(ascii: "r"), UInt8(ascii: "t"): socket.pointee.timeouts.total = seconds
      default:
        throw call.argumentFailure(
          3, "invalid timeout mode, got '\(mode.prefix(40))': 'b', 't' or 'r'")
      }
      call.push(1.0)
      return .results(1)
    }
  }

  func addGetTimeout(_ call: LuaCall, of sockets: SocketGroup) {
    call.setFunction("gettimeout") { [self] (call) throws(LuaFailure) in
      let socket = try check(sockets, call)
      call.push(socket.pointee.timeouts.block)
      call.push(socket.pointee.timeouts.total)
      return .results(2)
    }
  }

  /// `getfamily`, `getsockname` and `getpeername` of Internet sockets; `connected` are those that
  /// have a peer.
  func addInternetNames(
    _ call: LuaCall, of sockets: SocketGroup, connected: SocketGroup
  ) {
    call.setFunction("getpeername") { [self] (call) throws(LuaFailure) in
      let socket = try check(connected, call).pointee
      return pushName(call, socket.family) { () throws(Errno) in try socket.socket.peerAddress() }
    }
    call.setFunction("getfamily") { [self] (call) throws(LuaFailure) in
      call.push(try check(sockets, call).pointee.family == AF_INET6 ? "inet6" : "inet4")
      return .results(1)
    }
    call.setFunction("getsockname") { [self] (call) throws(LuaFailure) in
      let socket = try check(sockets, call).pointee
      return pushName(call, socket.family) { () throws(Errno) in try socket.socket.localAddress() }
    }
  }

  /// Pushes host, port and family.
  func pushName(
    _ call: LuaCall, _ family: Int32, _ name: () throws(Errno) -> SocketAddress
  ) -> LuaOutcome {
    do throws(Errno) {
      let address = try name()
      call.push(address.numericHost)
      call.push(Int(address.port ?? 0))
      call.push(familyName(family))
      return .results(3)
    } catch {
      return call.pushFailure(.system(error))
    }
  }

  /// `bind(host, port)` of an Internet socket.
  func bindInternet(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>
  ) throws(LuaFailure) -> LuaOutcome {
    let query = ResolverQuery(
      host: try passiveHost(call, at: 2), service: try call.string(at: 3),
      family: socket.pointee.family, stream: socket.pointee.kind == .stream, passive: true)
    switch try resolve(query, call) {
    case .failure(let error): return call.pushFailure(.resolver(error))
    case .success(let addresses):
      if let failure = bind(socket, to: addresses) { return call.pushFailure(failure) }
    }
    call.push(1.0)
    return .results(1)
  }

  /// `*` is every interface.
  func passiveHost(_ call: LuaCall, at index: Int) throws(LuaFailure) -> String? {
    let host = try call.string(at: index)
    return host == "*" ? nil : host
  }

  /// Waits as the socket's timeouts say; `start` is set by the first wait of an operation.
  func wait(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>, _ readiness: Readiness,
    _ start: inout Int64?
  ) throws(LuaFailure) -> SocketFailure? {
    guard let deadline = socket.pointee.timeouts.nextDeadline(&start) else { return .timeout }
    return try SocketTimeouts.wait(
      socket.pointee.descriptor, for: readiness, until: deadline, call)
  }
}

/// How LuaSocket names an address family.
func familyName(_ family: Int32) -> StaticString {
  switch family {
  case AF_INET: "inet"
  case AF_INET6: "inet6"
  case AF_UNSPEC: "unspec"
  default: "unknown"
  }
}

extension Double {
  /// The integer part, within the range of Int; 0 for NaN.
  package var clampedToInt: Int {
    if isNaN { return 0 }
    return Int(exactly: rounded(.towardZero)) ?? (self < 0 ? .min : .max)
  }
}
