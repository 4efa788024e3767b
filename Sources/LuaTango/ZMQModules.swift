import Copas
import LuaConnection
import LuaSocket
import MilongaLua
import MilongaRPC

/// `tango.client.zmq` and `tango.server.zmq`. The library is loaded when one of their functions is
/// first called.
final class ZMQModules {
  private let loop: CopasLoop
  private let codecs: TangoCodecs
  private let proxies: TangoProxies
  private let spare = SpareBuffer()
  private let servers: LuaClass<ZMQServer>
  private var context: ZMQContext?

  init(_ call: LuaCall, loop: CopasLoop, codecs: TangoCodecs, proxies: TangoProxies) {
    self.loop = loop
    self.codecs = codecs
    self.proxies = proxies
    let servers = LuaClass<ZMQServer>(call, incomplete: "tango zmq server")
    self.servers = servers
    servers.complete(
      call,
      methods: { call in
        call.setFunction("start") { (call) throws(LuaFailure) in
          try servers.check(call, at: 1).pointee.start()
          call.count = 1
          return .results(1)
        }
        call.setFunction("stop") { (call) throws(LuaFailure) in
          try servers.check(call, at: 1).pointee.stop()
          return .results(0)
        }
        call.setFunction("url") { (call) throws(LuaFailure) in
          let server = try servers.check(call, at: 1).pointee
          call.push(server.url)
          return .results(1)
        }
      })
  }

  private func library(_ call: LuaCall) throws(LuaFailure) -> ZMQContext {
    if let context { return context }
    let context = try ZMQContext.make(call)
    self.context = context
    return context
  }

  /// Pushes the client's table.
  func pushClient(_ call: LuaCall) {
    call.pushTable(fields: 1)
    call.setFunction("connect") { [self] (call) throws(LuaFailure) in
      let configuration = try ClientConfiguration(
        call, at: 1, isStream: false, codecs: codecs)
      let library = try library(call)
      guard
        let socket = ZMQSocket(
          library, .dealer, linger: 100,
          maxBytes: configuration.limits.frameBytes &+ (1 << 20))
      else { throw call.failure("tango: no more ZeroMQ sockets can be made") }
      if let reason = socket.connect(configuration.url) {
        throw call.failure("\(configuration.url): \(reason)")
      }
      call.count = 0
      let transport = ZMQTransport(configuration, socket, loop: loop, spare: spare)
      proxies.connections.push(
        .zmq(TangoClient(configuration, transport, loop: loop)), onto: call)
      proxies.push(call, connection: 1, path: nil)
      return .results(1)
    }
  }

  /// Pushes the server's table.
  func pushServer(_ call: LuaCall) {
    call.pushTable(fields: 2)
    call.setFunction("new") { [self] (call) throws(LuaFailure) in
      try pushNew(call)
      return .results(1)
    }
    call.setFunction("loop") { [self] (call) throws(LuaFailure) in
      try pushNew(call)
      call.count = 0
      return try loop.runLoop(call)
    }
  }

  /// `new(config)`: listens, and serves as soon as the dispatcher runs.
  private func pushNew(_ call: LuaCall) throws(LuaFailure) {
    let configuration = try ServerConfiguration(
      call, at: 1, isStream: false, codecs: codecs, loop: loop)
    let library = try library(call)
    guard let answers = ZMQCounter(),
      let socket = ZMQSocket(
        library, .router, linger: 1000, maxBytes: configuration.limits.frameBytes)
    else { throw call.failure("tango: no more ZeroMQ sockets can be made") }
    if let reason = socket.bind(configuration.url) {
      throw call.failure("tango server: cannot listen on \(configuration.url): \(reason)")
    }
    let server = ZMQServer(configuration, socket, answers, loop: loop, spare: spare)
    servers.push(server, onto: call)
    server.start()
  }
}
