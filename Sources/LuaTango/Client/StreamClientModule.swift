import Copas
import LuaConnection
import LuaSocket
import MilongaLua
import MilongaRPC

/// `tango.client.socket`: connections to tango servers over TCP.
struct StreamClientModule {
  private let sockets: SocketLibrary
  private let loop: CopasLoop
  private let codecs: TangoCodecs
  private let spare = SpareBuffer()
  private let proxies: TangoProxies

  init(loop: CopasLoop, codecs: TangoCodecs, proxies: TangoProxies) {
    sockets = loop.sockets
    self.loop = loop
    self.codecs = codecs
    self.proxies = proxies
  }

  /// Pushes the module's table.
  func push(_ call: LuaCall) {
    call.pushTable(fields: 1)
    call.setFunction("connect") { (call) throws(LuaFailure) in try connect(call) }
  }

  /// `connect(config)`: the connection is at 1 while it is made.
  private func connect(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let outcome: LuaOutcome?
    if let step = call.callStep {
      try loop.requireOwnResumption(call, "tango")
      guard case .stream(let client) = try proxies.connections.check(call, at: 1).pointee else {
        throw call.typeFailure(argument: 1, expected: "tango connection")
      }
      outcome = try client.transport.proceedOpening(call, step, observer: client.observerNumber)
    } else {
      let configuration = try ClientConfiguration(call, at: 1, codecs: codecs)
      call.count = 0
      let transport = StreamTransport(
        configuration, sockets: sockets, loop: loop, spare: spare)
      let client = TangoClient(configuration, transport, loop: loop)
      proxies.connections.push(.stream(client), onto: call)
      outcome = try transport.openFirst(call, observer: client.observerNumber)
    }
    if let outcome { return outcome }
    proxies.push(call, connection: 1, path: nil)
    return .results(1)
  }
}
