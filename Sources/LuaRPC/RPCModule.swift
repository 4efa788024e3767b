import CLua
import CShims
import Copas
import IO
import Lua
import LuaConnection
import LuaSocket
import RPC
import SystemPackage

/// The Lua module `rpc`.
public enum RPCModule {
  private static let key = LuaRegistryKey()

  /// Pushes the module's table: what `require 'rpc'` returns. As with the original there is a global
  /// `rpc` from then on, unless the program has one of its own.
  public static func open(_ call: LuaCall) throws(LuaFailure) {
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
    call.setFunction("newclient") { [self] (call) throws(LuaFailure) in
      call.phase == .entered ? try connect(call) : try connected(call)
    }
    call.setFunction("newsession") { [self] (call) throws(LuaFailure) in
      loop.unwrap(call, at: 1)
      let configuration = try RPCConfiguration(call, at: 2, interface: nil, main: loop.main)
      let socket = try sockets.check(sockets.tcp.client, call)
      guard socket.pointee.descriptor >= 0 else {
        throw call.argumentFailure(1, "the socket is closed")
      }
      call.count = 1
      _ = try pushPeer(call, configuration, startsWorker: true)
      return .results(1)
    }
    call.setFunction("newserver") { [self] (call) throws(LuaFailure) in try serveOne(call) }
    call.setFunction("newserveronly") { [self] (call) throws(LuaFailure) in try serveMany(call) }
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

  /// The places of the stack while a client connects.
  private enum Client {
    static let configuration = 1
    static let socket = 2
  }

  /// `newclient([host [, port [, config]]])`
  private func connect(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let (host, port) = try hostAndPort(call)
    let configuration = try RPCConfiguration(call, at: 3, interface: nil, main: loop.main)
    call.count = 0
    configurations(call).push(configuration, onto: call)
    let socket = sockets.tcp.master.push(SocketObject(), onto: call)
    let timeout = configuration.timeout
    socket.pointee.timeouts.block = timeout == .infinity ? -1 : timeout
    socket.pointee.copasTimeouts.connect = timeout
    if loop.isInside(call), loop.mayWait {
      loop.pushConnect(call)
    } else {
      call.push("connect")
      guard milonga_gettable(call.state, Int32(Client.socket)) == LUA_OK else { throw .raised }
    }
    call.pushValue(at: Client.socket)
    call.push(host)
    call.push(port)
    return .call(arguments: 3, results: 2, state: 1)
  }

  private func connected(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    guard call.boolean(at: -2) else {
      if let socket = sockets.any.payload(call, at: Client.socket) {
        sockets.close(&socket.pointee)
      }
      return .results(2)
    }
    let configuration = try configurations(call).check(call, at: Client.configuration).pointee
    call.count = Client.socket
    _ = try pushPeer(call, configuration, startsWorker: true)
    return .results(1)
  }

  // MARK: Servers

  /// Pushes a listening socket, or nil and why there is none.
  private func listen(
    _ call: LuaCall
  ) throws(LuaFailure) -> (configuration: RPCConfiguration, isListening: Bool) {
    let (host, port) = try hostAndPort(call)
    let configuration = try RPCConfiguration(call, at: 3, interface: host, main: loop.main)
    let failure = sockets.pushServer(
      call, host: host == "*" ? "0.0.0.0" : host, service: String(port), backlog: 1024)
    if let failure { call.pushFailure(failure) }
    return (configuration, failure == nil)
  }

  /// `newserveronly([host [, port [, config]]])`: the dispatcher serves all who come.
  private func serveMany(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let (configuration, isListening) = try listen(call)
    guard isListening else { return .results(2) }
    call.insert(at: 1)
    call.count = 1
    call.push { [self] (call) throws(LuaFailure) in try serveConnection(call, configuration) }
    try loop.addServer(call)
    call.count = 1
    return .results(1)
  }

  /// The coroutine of a connection, whose socket is at 1: the first of its workers.
  private func serveConnection(
    _ call: LuaCall, _ configuration: RPCConfiguration
  ) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .entered {
      guard loop.isInside(call) else {
        throw call.failure("rpc: the handler must be called by Copas")
      }
      call.count = 1
      if call.type(at: 1) == .table { loop.unwrap(call, at: 1) }
      if let outcome = authorize(call, configuration) { return outcome }
    } else if call.phase == .returned, call.step == RPCPeer.Step.authorize.rawValue {
      guard call.boolean(at: -1) else { return .results(0) }
    } else {
      return try peers.check(call, at: 1).pointee.work(call, isNew: false)
    }
    call.count = 1
    let peer = try pushPeer(call, configuration, startsWorker: false)
    guard peer.pushUserdata(call) else { return .results(0) }
    call.replace(at: 1)
    call.count = 1
    peer.mainWorker = loop.currentTask
    return peer.work(call, isNew: true)
  }

  /// Asks the program about the connection whose socket is on top, if it wants to be asked.
  private func authorize(_ call: LuaCall, _ configuration: RPCConfiguration) -> LuaOutcome? {
    guard configuration.authorize != 0, let socket = sockets.any.payload(call, at: -1) else {
      return nil
    }
    let place = call.count
    let address = try? socket.pointee.socket.peerAddress()
    call.pushRetained(configuration.authorize)
    call.push(address?.numericHost ?? "unknown")
    call.push(Int(address?.port ?? 0))
    call.pushValue(at: place)
    return .call(arguments: 3, results: 1, state: RPCPeer.Step.authorize.rawValue)
  }

  /// The places of the stack while a server waits for its only peer.
  private enum Single {
    static let listener = 1
    static let configuration = 2
    static let socket = 3
  }

  /// `newserver([host [, port [, config]]])`: waits for one peer.
  private func serveOne(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .entered {
      let (configuration, isListening) = try listen(call)
      guard isListening else { return .results(2) }
      call.insert(at: 1)
      call.count = 1
      configurations(call).push(configuration, onto: call)
    }
    let listener = try sockets.tcp.server.check(call, at: Single.listener)
    let configuration = try configurations(call).check(call, at: Single.configuration).pointee
    if call.phase == .returned {
      let isWelcome = call.boolean(at: -1)
      call.count = Single.socket
      if isWelcome { return try finishServing(call, listener, configuration) }
      if let socket = sockets.any.payload(call, at: Single.socket) {
        sockets.close(&socket.pointee)
      }
    }
    call.count = Single.configuration
    while true {
      guard listener.pointee.descriptor >= 0 else { return call.pushFailure(.closed) }
      let accepted: Socket?
      var outcome: LuaOutcome?
      do throws(Errno) {
        accepted = try listener.pointee.socket.accept()
        if accepted == nil, loop.isInside(call), loop.mayWait {
          loop.markUnready(listener, .read)
          outcome = try loop.wait(listener, for: .read, until: MonotonicTime.never)
        }
      } catch {
        return call.pushFailure(.system(error))
      }
      if let outcome { return outcome }
      if let accepted {
        let socket = sockets.pushClient(accepted, family: listener.pointee.family, onto: call)
        socket.pointee.timeouts.block = 0
        if let outcome = authorize(call, configuration) { return outcome }
        return try finishServing(call, listener, configuration)
      }
      let failure = SocketTimeouts.wait(
        listener.pointee.descriptor, for: .readable, until: MonotonicTime.never)
      if let failure { return call.pushFailure(failure) }
    }
  }

  /// The peer is there, its socket on top: nobody else can come.
  private func finishServing(
    _ call: LuaCall, _ listener: UnsafeMutablePointer<SocketObject>,
    _ configuration: RPCConfiguration
  ) throws(LuaFailure) -> LuaOutcome {
    sockets.close(&listener.pointee)
    _ = try pushPeer(call, configuration, startsWorker: true)
    return .results(1)
  }
}
