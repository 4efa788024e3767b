import CMilongaLua
import CMilongaShims
import Copas
import LuaConnection
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import SystemPackage

/// The Lua module `rpc`.
package enum RPCModule {
  private static let key = LuaRegistryKey()

  /// Pushes the module's table: what `require 'rpc'` returns. As with the original there is a
  /// global `rpc` from then on, unless the program has one of its own.
  package static func open(_ call: LuaCall) throws(LuaFailure) {
    call.pushRegistry(key)
    if call.type(at: -1) == .table { return }
    call.pop()

    let library = RPCLibrary(call, loop: try CopasLoop.of(call))
    call.pushTable(fields: 8)
    library.addConstructors(call)
    call.setFunction("signature") { (call) throws(LuaFailure) in
      try library.signatures.declare(call)
    }
    call.pushValue(at: -1)
    call.setRegistry(key)
    milonga_pushglobaltable(call.state)
    call.pushField("rpc", of: -1)
    if call.type(at: -1) == .nil {
      call.pushValue(at: -3)
      call.setField("rpc", of: -3)
    }
    call.pop(2)
  }
}

extension RPCLibrary {
  private static let defaultHost = "localhost"
  private static let defaultPort = 1999

  func addConstructors(_ call: LuaCall) {
    call.setFunction("newclient") { [self] (call) throws(LuaFailure) in try newClient(call) }
    call.setFunction("newsession") { [self] (call) throws(LuaFailure) in
      try loop.requireOwnResumption(call, "rpc")
      guard call.phase == .entered else { return try openClient(call) }
      loop.unwrap(call, at: 1)
      let configuration = try RPCConfiguration(call, at: 2, interface: nil, loop: loop)
      let socket = try sockets.check(sockets.tcp.client, call)
      guard socket.pointee.descriptor >= 0 else {
        throw call.argumentFailure(1, "the socket is closed")
      }
      call.count = Client.socket
      _ = try pushPeer(call, configuration, socketAt: Client.socket)
      return try openClient(call)
    }
    call.setFunction("newserver") { [self] (call) throws(LuaFailure) in try newServer(call) }
    call.setFunction("newserveronly") { [self] (call) throws(LuaFailure) in try newServerOnly(call)
    }
    call.pushField("newserveronly", of: -1)
    call.setField("newmultiserver", of: -2)
  }

  private func hostAndPort(_ call: LuaCall) throws(LuaFailure) -> (host: String, port: Int) {
    let host = try call.string(at: 1, default: Self.defaultHost)
    let port = call.isNoneOrNil(at: 2) ? Self.defaultPort : try call.integer(at: 2)
    guard 0...65535 ~= port else {
      throw call.argumentFailure(2, "a port from 0 to 65535 expected")
    }
    return (host, port)
  }

  private func configurations(_ call: LuaCall) -> LuaClass<RPCConfiguration> {
    if let made = configurationClass { return made }
    let made = LuaClass<RPCConfiguration>(call, name: "rpc configuration")
    configurationClass = made
    return made
  }

  // MARK: Clients

  /// The places of the stack while a client's connection is opened.
  private enum Client {
    static let socket = 1
    /// The peer's userdata.
    static let peer = 2
  }

  /// `newclient([host [, port [, config]]])`
  private func newClient(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    guard call.phase == .entered else {
      try loop.requireOwnResumption(call, "rpc")
      return try openClient(call)
    }
    let destination = try hostAndPort(call)
    let configuration = try RPCConfiguration(call, at: 3, interface: nil, loop: loop)
    call.count = 0
    _ = sockets.tcp.client.push(SocketObject(), onto: call)
    _ = try pushPeer(
      call, configuration, socketAt: Client.socket, destination: destination)
    return try openClient(call)
  }

  /// Goes on with the opening of a client's connection.
  private func openClient(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let peer = try peers.check(call, at: Client.peer).pointee
    switch try peer.open(call, socketAt: Client.socket) {
    case .unfinished(let outcome): return outcome
    case .refused(let reason):
      call.pushNil()
      call.push(reason)
      return .results(2)
    case .ready:
      call.count = Client.peer
      admit(call, peer, userdataAt: Client.peer, startsWorker: true)
      return .results(1)
    }
  }

  // MARK: Servers

  /// Pushes a listening socket, or nil and why there is none.
  private func listen(
    _ call: LuaCall
  ) throws(LuaFailure) -> (configuration: RPCConfiguration, isListening: Bool) {
    let (host, port) = try hostAndPort(call)
    let configuration = try RPCConfiguration(call, at: 3, interface: host, loop: loop)
    let failure = try sockets.pushServer(
      call, host: host == "*" ? "0.0.0.0" : host, service: String(port), backlog: 1024)
    if let failure { call.pushFailure(failure) }
    return (configuration, failure == nil)
  }

  /// `newserveronly([host [, port [, config]]])`: the dispatcher serves all who come.
  private func newServerOnly(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let (configuration, isListening) = try listen(call)
    guard isListening else { return .results(2) }
    call.insert(at: 1)
    call.count = 1
    call.push { [self] (call) throws(LuaFailure) in try serveConnection(call, configuration) }
    try loop.addServer(call)
    call.count = 1
    return .results(1)
  }

  /// The coroutine of a connection, the first of its workers. At 1 is its socket and behind it the
  /// peer's userdata, which takes the socket's place when the connection is open.
  private func serveConnection(
    _ call: LuaCall, _ configuration: RPCConfiguration
  ) throws(LuaFailure) -> LuaOutcome {
    let peer: RPCPeer
    if call.phase == .entered {
      guard loop.isInside(call) else {
        throw call.failure("rpc: the handler must be called by Copas")
      }
      call.count = 1
      if call.type(at: 1) == .table { loop.unwrap(call, at: 1) }
      peer = try pushPeer(call, configuration, socketAt: Client.socket)
    } else if RPCPeer.Step(call) == .open {
      peer = try peers.check(call, at: Client.peer).pointee
    } else {
      return try peers.check(call, at: 1).pointee.work(call, isNew: false)
    }
    switch try peer.open(call, socketAt: Client.socket) {
    case .unfinished(let outcome): return outcome
    case .refused: return .results(0)
    case .ready: break
    }
    call.count = Client.peer
    admit(call, peer, userdataAt: Client.peer, startsWorker: false)
    guard peer.pushUserdata(call) else { return .results(0) }
    call.replace(at: 1)
    call.count = 1
    peer.roles.main = loop.currentTask
    return peer.work(call, isNew: true)
  }

  /// The places of the stack while a server waits for its only peer.
  private enum Single {
    static let listener = 1
    static let configuration = 2
    /// The accepted socket.
    static let socket = 3
    /// The peer's userdata.
    static let peer = 4
  }

  /// `newserver([host [, port [, config]]])`: waits for one peer.
  private func newServer(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .entered {
      let (configuration, isListening) = try listen(call)
      guard isListening else { return .results(2) }
      call.insert(at: 1)
      call.count = 1
      configurations(call).push(configuration, onto: call)
    }
    try loop.requireOwnResumption(call, "rpc")
    let listener = try sockets.tcp.server.check(call, at: Single.listener)
    let configuration = try configurations(call).check(call, at: Single.configuration).pointee
    if call.phase != .entered, RPCPeer.Step(call) == .open {
      let peer = try peers.check(call, at: Single.peer).pointee
      if let outcome = try openOnly(call, peer, listener) { return outcome }
    }
    while true {
      call.count = Single.configuration
      guard listener.pointee.descriptor >= 0 else { return call.pushFailure(.closed) }
      let accepted: Socket?
      var outcome: LuaOutcome?
      do throws(Errno) {
        accepted = try listener.pointee.socket.accept()
        if accepted == nil, loop.isInside(call), loop.mayWait {
          loop.markUnready(listener, .read)
          outcome = try loop.wait(
            listener, for: .read, until: MonotonicTime.never, state: RPCPeer.Step.connect.state)
        }
      } catch {
        return call.pushFailure(.system(error))
      }
      if let outcome { return outcome }
      if let accepted {
        let socket = sockets.pushClient(accepted, family: listener.pointee.family, onto: call)
        socket.pointee.timeouts.block = 0
        let peer = try pushPeer(call, configuration, socketAt: Single.socket)
        if let outcome = try openOnly(call, peer, listener) { return outcome }
        continue
      }
      let failure = try SocketTimeouts.wait(
        listener.pointee.descriptor, for: .readable, until: MonotonicTime.never, call)
      if let failure { return call.pushFailure(failure) }
    }
  }

  /// Goes on with the opening of the only peer; then the listener is closed. Nil when the peer is
  /// refused.
  private func openOnly(
    _ call: LuaCall, _ peer: RPCPeer, _ listener: UnsafeMutablePointer<SocketObject>
  ) throws(LuaFailure) -> LuaOutcome? {
    switch try peer.open(call, socketAt: Single.socket) {
    case .unfinished(let outcome): return outcome
    case .refused: return nil
    case .ready:
      sockets.close(&listener.pointee)
      call.count = Single.peer
      admit(call, peer, userdataAt: Single.peer, startsWorker: true)
      return .results(1)
    }
  }
}
