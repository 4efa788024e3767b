import CLua
import CShims
import Copas
import IO
import Lua
import LuaConnection
import LuaSocket
import RPC

/// `tango.client.socket`: connections to tango servers, and the proxies that stand for what is there.
struct TangoClient {
  private let sockets: SocketLibrary
  private let loop: CopasLoop
  private let spare = SpareBuffer()
  private let calls: LuaClass<TangoClientConnection>
  private let proxies: TangoProxies

  init(_ call: LuaCall, loop: CopasLoop) {
    sockets = loop.sockets
    self.loop = loop
    calls = LuaClass(call, name: "tango connection", finalize: { $0.release() })
    proxies = TangoProxies(call, connections: calls)
  }

  /// Pushes the back end's table.
  func pushModule(_ call: LuaCall) {
    call.pushTable(fields: 1)
    call.setFunction("connect") { (call) throws(LuaFailure) in
      call.phase == .entered ? try connect(call) : try connected(call)
    }
  }

  func addReferences(_ call: LuaCall) { proxies.addReferences(call) }

  /// The places of the stack while a connection is made.
  private enum Slot {
    static let connection = 1
    static let socket = 2
  }

  /// `connect(config)`: makes a socket, and has `copas.connect` or the socket's own `connect` do the
  /// waiting.
  private func connect(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let configuration = try ClientConfiguration(call, at: 1)
    call.count = 0
    let socket = sockets.tcp.master.push(SocketObject(), onto: call)
    socket.pointee.timeouts.block = configuration.timeout
    socket.pointee.copasTimeouts.connect = configuration.timeout
    call.pushValue(at: 1)
    let reference = call.retainTop()
    let connection = TangoConnection(
      socket, sockets: sockets, loop: loop, spare: spare, limits: configuration.limits)
    calls.push(
      TangoClientConnection(configuration, connection, socketReference: reference), onto: call)
    call.insert(at: Slot.connection)

    if loop.isInside(call) {
      loop.pushConnect(call)
    } else {
      call.push("connect")
      guard milonga_gettable(call.state, Int32(Slot.socket)) == LUA_OK else { throw .raised }
    }
    call.pushValue(at: Slot.socket)
    call.push(configuration.address)
    call.push(configuration.port)
    return .call(arguments: 3, results: 2, state: 1)
  }

  /// The connect is over: its results are on top.
  private func connected(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let connection = try calls.check(call, at: Slot.connection).pointee
    guard call.boolean(at: -2) else {
      let reason = call.stringIfString(at: -1) ?? "unknown error"
      connection.close()
      throw call.failure("\(connection.peer): \(reason)")
    }
    try? connection.connection.socket.pointee.socket.set(.noDelay, to: 1)
    connection.connection.socket.pointee.timeouts.block = -1
    call.count = Slot.connection
    proxies.push(call, connection: Slot.connection, path: nil)
    return .results(1)
  }
}

/// What a tango client is told.
struct ClientConfiguration {
  let address: String
  let port: Int
  /// Seconds that connecting, and each call, may take; infinite for no limit.
  let timeout: Double
  let codec: CustomCodec
  let limits: RPCLimits

  init(_ call: LuaCall, at index: Int) throws(LuaFailure) {
    let table = try ConfigurationTable(call, at: index, module: "tango")
    try table.refuseTLS()
    address = try table.string("address", default: "localhost")
    port = try table.integer("port", default: 12345, in: 0...65535)
    let seconds = try table.number("timeout", default: 5000)
    timeout = seconds < 0 ? .infinity : seconds
    limits = try table.limits()
    // Last, because nothing would let go of the functions if the rest failed.
    codec = try CustomCodec(table)
  }
}
