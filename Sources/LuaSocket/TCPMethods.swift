import Glibc
import MilongaIO
import MilongaLua
import SystemPackage

extension SocketLibrary {
  /// Sets the methods of TCP objects in the table on top of the stack.
  func addTCPMethods(_ call: LuaCall) {
    addDescriptorMethods(call, of: tcp.any)
    addGetTimeout(call, of: tcp.any)
    addStreamMethods(call, of: tcp.client)
    addConnectionMethods(call, of: tcp)
    addInternetNames(call, of: tcp.any, connected: tcp.any)
    for name: StaticString in ["bind", "setsockname"] {
      call.setFunction(name) { [self] (call) throws(LuaFailure) in
        try bindInternet(call, check(tcp.master, call))
      }
    }
    for name: StaticString in ["connect", "setpeername"] {
      call.setFunction(name) { [self] (call) throws(LuaFailure) in try connect(call) }
    }
    addGetOption(call, of: tcp.any, .tcp)
    addSetOption(call, of: tcp.any, .tcp)
  }

  private func connect(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try check(tcp.any, call)
    let query = ResolverQuery(
      host: try call.string(at: 2), service: try call.string(at: 3),
      family: socket.pointee.family)
    let failure = try connect(call, socket, query)
    tcp.client.adopt(call, at: 1)
    if let failure { return call.pushFailure(failure) }
    call.push(1.0)
    return .results(1)
  }

  /// Looks up the name and connects. The whole program waits meanwhile, as long as the socket's
  /// timeouts say.
  ///
  /// - Throws: `interrupted!` after Ctrl-C.
  package func connect(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>, _ query: ResolverQuery
  ) throws(LuaFailure) -> SocketFailure? {
    let family = socket.pointee.family
    let failure = try tryToConnect(call, socket, query)
    // The next attempt makes a new socket, unless this one is under way.
    if failure != nil, !socket.pointee.timeouts.isZero { socket.pointee.family = family }
    return failure
  }

  private func tryToConnect(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>, _ query: ResolverQuery
  ) throws(LuaFailure) -> SocketFailure? {
    let addresses: [SocketAddress]
    switch try resolve(query, call) {
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
        if let failure = try wait(call, socket, .writable, &start) {
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
}
