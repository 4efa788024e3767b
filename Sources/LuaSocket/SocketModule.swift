import Glibc
import MilongaIO
import MilongaLua
import SystemPackage

/// The Lua module `socket`.
package enum SocketModule {
  /// The module's table: there is one, however often and under whatever name it is required.
  private static let key = LuaRegistryKey()

  /// Pushes the module's table: what `require 'socket.core'` returns. `socket` is the same table,
  /// when `socket.lua` has added to it what is made of Lua closures.
  package static func open(_ call: LuaCall) {
    call.pushRegistry(key)
    if call.type(at: -1) == .table { return }
    call.pop()
    let library = SocketLibrary.of(call)
    call.pushTable(fields: 36)
    call.pushValue(at: -1)
    call.setRegistry(key)
    library.addConstructors(call)
    library.addTimeFunctions(call)
    addExceptions(call)
    call.setFunction("select") { (call) throws(LuaFailure) in try library.select(call) }
    library.pushDNS(call)
    call.setField("dns", of: -2)
    call.push("LuaSocket 3.1.0")
    call.setField("_VERSION", of: -2)
    call.push(2048)
    call.setField("BLOCKSIZE", of: -2)
    call.push(8192)
    call.setField("_DATAGRAMSIZE", of: -2)
    call.push(mostDescriptors())
    call.setField("_SETSIZE", of: -2)
    call.push(-1)
    call.setField("_SOCKETINVALID", of: -2)
    if library.isDebugging {
      call.push(true)
      call.setField("_DEBUG", of: -2)
    }
  }
}

/// How many sockets `select` can handle: as many as the process may have.
private func mostDescriptors() -> Int {
  var limit = rlimit()
  guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
  return Int(clamping: min(limit.rlim_cur, rlim_t(Int32.max)))
}

extension SocketLibrary {
  func addConstructors(_ call: LuaCall) {
    call.setFunction("udp") { [self] (call) throws(LuaFailure) in createUDP(call, AF_UNSPEC) }
    call.setFunction("udp4") { [self] (call) throws(LuaFailure) in createUDP(call, AF_INET) }
    call.setFunction("udp6") { [self] (call) throws(LuaFailure) in createUDP(call, AF_INET6) }
    call.setFunction("tcp") { [self] (call) throws(LuaFailure) in createTCP(call, AF_UNSPEC) }
    call.setFunction("tcp4") { [self] (call) throws(LuaFailure) in createTCP(call, AF_INET) }
    call.setFunction("tcp6") { [self] (call) throws(LuaFailure) in createTCP(call, AF_INET6) }
    call.setFunction("bind") { [self] (call) throws(LuaFailure) in try bindServer(call) }
    call.setFunction("connect") { [self] (call) throws(LuaFailure) in
      try connectClient(call)
    }
    call.setFunction("connect4") { [self] (call) throws(LuaFailure) in
      try connectClient(call, family: AF_INET)
    }
    call.setFunction("connect6") { [self] (call) throws(LuaFailure) in
      try connectClient(call, family: AF_INET6)
    }
  }

  func addTimeFunctions(_ call: LuaCall) {
    call.setFunction("gettime") { (call) throws(LuaFailure) in
      call.push(WallClock.now())
      return .results(1)
    }
    call.setFunction("sleep") { (call) throws(LuaFailure) in
      let seconds = try call.number(at: 1)
      if !WallClock.sleep(seconds, isInterrupted: { call.takeInterruption() }) {
        throw call.failure("interrupted!")
      }
      return .results(0)
    }
  }

  private func createTCP(_ call: LuaCall, _ family: Int32) -> LuaOutcome {
    create(call, tcp.master.push(SocketObject(family: family), onto: call))
  }

  private func createUDP(_ call: LuaCall, _ family: Int32) -> LuaOutcome {
    create(call, udp.unconnected.push(SocketObject(kind: .datagram, family: family), onto: call))
  }

  /// An object of a known family has its socket from the beginning.
  private func create(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>
  ) -> LuaOutcome {
    let family = socket.pointee.family
    if family != AF_UNSPEC, let failure = open(socket, family: family) {
      return call.pushFailure(failure)
    }
    return .results(1)
  }

  /// `bind(host, port [, backlog])`: a listening server with `reuseaddr`.
  private func bindServer(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let host = try call.string(at: 1)
    let service = try call.string(at: 2)
    let backlog = Int32(clamping: try call.number(at: 3, default: 32).clampedToInt)
    let failure = try pushServer(
      call, host: host == "*" ? "0.0.0.0" : host, service: service, backlog: backlog)
    if let failure { return call.pushFailure(failure) }
    return .results(1)
  }

  /// Pushes a server object that listens at the first address of `host` that can be had.
  package func pushServer(
    _ call: LuaCall, host: String, service: String, backlog: Int32
  ) throws(LuaFailure) -> SocketFailure? {
    let query = ResolverQuery(host: host, service: service, passive: true)
    let addresses: [SocketAddress]
    switch try resolve(query, call) {
    case .failure(let error): return .resolver(error)
    case .success(let found): addresses = found
    }
    var failure: SocketFailure?
    for address in addresses {
      let socket = tcp.server.push(SocketObject(family: address.family), onto: call)
      failure = open(socket, family: address.family) ?? listen(socket, at: address, backlog)
      if failure == nil { return nil }
      close(&socket.pointee)
    }
    return failure ?? .resolver(ResolverError(code: EAI_NONAME))
  }

  private func listen(
    _ socket: UnsafeMutablePointer<SocketObject>, at address: SocketAddress, _ backlog: Int32
  ) -> SocketFailure? {
    do throws(Errno) {
      try socket.pointee.socket.set(.reuseAddress, to: 1)
      try socket.pointee.socket.bind(address)
      try socket.pointee.socket.listen(backlog: backlog)
      return nil
    } catch {
      return .system(error)
    }
  }

  /// `connect(host, port [, local host, local port [, family]])`.
  ///
  /// - Parameter fixedFamily: the family, whatever the fifth argument is.
  private func connectClient(
    _ call: LuaCall, family fixedFamily: Int32? = nil
  ) throws(LuaFailure) -> LuaOutcome {
    let host = try call.string(at: 1)
    let service = try call.string(at: 2)
    let isLocal = !call.isNoneOrNil(at: 3)
    let localHost = isLocal ? try passiveHost(call, at: 3) : nil
    let localService = try call.string(at: 4, default: "0")
    let family =
      if let fixedFamily { fixedFamily } else {
        try call.option(
          at: 5, default: AF_UNSPEC, ["unspec": AF_UNSPEC, "inet": AF_INET, "inet6": AF_INET6])
      }
    let socket = tcp.client.push(SocketObject(family: family), onto: call)
    if isLocal {
      let local = ResolverQuery(
        host: localHost, service: localService, family: family, passive: true)
      switch try resolve(local, call) {
      case .failure(let error): return call.pushFailure(.resolver(error))
      case .success(let addresses):
        if let failure = bind(socket, to: addresses) { return call.pushFailure(failure) }
      }
    }
    let query = ResolverQuery(host: host, service: service, family: socket.pointee.family)
    if let failure = try connect(call, socket, query) {
      close(&socket.pointee)
      return call.pushFailure(failure)
    }
    return .results(1)
  }
}
