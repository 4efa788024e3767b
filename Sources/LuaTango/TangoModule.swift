import CMilongaLua
import CMilongaShims
import Copas
import MilongaLua

/// The Lua module `tango`, and its back ends as modules of their own.
package enum TangoModule {
  /// The back ends that are modules, too: `tango.<side>.<name>`.
  package static let backEnds: [(side: StaticString, name: StaticString)] = [
    ("client", "socket"), ("client", "zmq"), ("server", "copas_socket"), ("server", "ev_socket"),
    ("server", "zmq"),
  ]

  /// The codecs, which are modules as well: `tango.codec.<name>`.
  package static let codecs: [(side: StaticString, name: StaticString)] = [
    ("codec", "json"), ("codec", "msgpack"), ("codec", "tango"),
  ]

  private static let key = LuaRegistryKey()

  /// Pushes the module's table: what `require 'tango'` returns. As with the original there is a
  /// global `tango` from then on, unless the program has one of its own.
  package static func open(_ call: LuaCall) throws(LuaFailure) {
    call.pushRegistry(key)
    if call.type(at: -1) == .table { return }
    call.pop()

    let loop = try CopasLoop.of(call)
    let codecs = TangoCodecs()
    call.pushTable(fields: 8)
    codecs.push(call)
    call.setField("codec", of: -2)
    let proxies = TangoProxies(call, loop: loop)
    let client = StreamClientModule(loop: loop, codecs: codecs, proxies: proxies)
    let server = TangoServer(call, loop: loop, codecs: codecs)
    let eventServer = TangoEventServer(call, loop: loop, codecs: codecs)
    proxies.addReferences(call)
    proxies.addClose(call)
    call.pushTable(fields: 2)
    client.push(call)
    call.setField("socket", of: -2)
    let zmq = ZMQModules(call, loop: loop, codecs: codecs, proxies: proxies)
    zmq.pushClient(call)
    call.setField("zmq", of: -2)
    call.setField("client", of: -2)
    call.pushTable(fields: 4)
    server.pushModule(call)
    call.setField("copas_socket", of: -2)
    eventServer.pushModule(call)
    call.setField("ev_socket", of: -2)
    zmq.pushServer(call)
    call.setField("zmq", of: -2)
    call.setField("server", of: -2)

    call.pushValue(at: -1)
    call.setRegistry(key)
    milonga_pushglobaltable(call.state)
    call.pushField("tango", of: -1)
    if call.type(at: -1) == .nil {
      call.pushValue(at: -3)
      call.setField("tango", of: -3)
    }
    call.pop(2)
  }

  /// Pushes a back end: `tango.<side>.<name>`.
  package static func open(
    _ call: LuaCall, side: StaticString, backEnd: StaticString
  ) throws(LuaFailure) {
    try open(call)
    call.pushField(side, of: -1)
    call.pushField(backEnd, of: -1)
  }
}
