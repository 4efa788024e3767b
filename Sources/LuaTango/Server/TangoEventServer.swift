import CMilongaLua
import CMilongaShims
import Copas
import LuaConnection
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import SystemPackage

/// `tango.server.ev_socket`: a server on the same dispatcher, but without a coroutine per client;
/// see `CopasLoop.addEventServer`.
struct TangoEventServer {
  private let sockets: SocketLibrary
  private let loop: CopasLoop
  private let codecs: TangoCodecs
  private let spare = SpareBuffer()
  private let servers: LuaClass<Listener>

  /// What `new` returns: the socket is its user value.
  private struct Listener {}

  init(_ call: LuaCall, loop: CopasLoop, codecs: TangoCodecs) {
    sockets = loop.sockets
    self.loop = loop
    self.codecs = codecs
    let servers = LuaClass<Listener>(call, incomplete: "tango server")
    self.servers = servers
    let sockets = sockets
    servers.complete(
      call,
      methods: { call in
        // The original's returns a watcher of its event loop, which the program has to start.
        call.setFunction("start") { (call) throws(LuaFailure) in
          _ = try servers.check(call, at: 1)
          call.count = 1
          return .results(1)
        }
        call.setFunction("stop") { (call) throws(LuaFailure) in
          _ = try servers.check(call, at: 1)
          call.pushUserValue(1, of: 1)
          if let socket = sockets.server(call, at: -1), socket.pointee.descriptor >= 0 {
            loop.removeEventServer(socket)
          }
          return .results(0)
        }
        call.setFunction("getsockname") { (call) throws(LuaFailure) in
          guard call.phase == .entered else { return .results(call.count) }
          _ = try servers.check(call, at: 1)
          call.count = 1
          call.pushUserValue(1, of: 1)
          call.push("getsockname")
          guard milonga_gettable(call.state, 2) == LUA_OK else { throw .raised }
          call.insert(at: 1)
          call.replace(at: 2)
          return .call(arguments: 1)
        }
      })
  }

  /// Pushes the back end's table.
  func pushModule(_ call: LuaCall) {
    call.pushTable(fields: 2)
    call.setFunction("new") { (call) throws(LuaFailure) in
      try pushNew(call)
      return .results(1)
    }
    call.setFunction("loop") { (call) throws(LuaFailure) in
      try pushNew(call)
      call.count = 0
      return try loop.runLoop(call)
    }
  }

  /// `new(config)`: listens, and serves as soon as the dispatcher runs.
  private func pushNew(_ call: LuaCall) throws(LuaFailure) {
    let configuration = try ServerConfiguration(call, at: 1, codecs: codecs, loop: loop)
    try configuration.pushListener(call, sockets)
    let index = call.count
    servers.push(Listener(), onto: call, userValues: 1)
    call.pushValue(at: index)
    call.setUserValue(1, of: -2)
    let (sockets, loop, spare) = (sockets, loop, spare)
    try loop.addEventServer(call, socket: index) { socket, reference in
      try? socket.pointee.socket.set(.noDelay, to: 1)
      let connection = TangoConnection(
        socket, sockets: sockets, loop: loop, spare: spare, limits: configuration.limits,
        keeper: configuration.keeper, log: configuration.log)
      return SessionTask(
        TangoSession(configuration, connection, socketReference: reference), isOwner: true)
    }
  }
}
