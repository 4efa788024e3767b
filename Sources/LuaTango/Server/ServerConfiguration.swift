import CMilongaShims
import Copas
import LuaConnection
import MilongaLua
import MilongaRPC

/// What a tango server offers, and to which clients.
final class ServerConfiguration {
  let interface: String
  let port: Int
  /// The table that clients see, in the registry.
  let namespace: Int32
  let namespaceIdentity: UnsafeRawPointer?
  let access: Access
  let codec: MessageCodec
  let limits: RPCLimits
  /// Counts what clients make the process hold.
  let keeper: BufferKeeper
  /// Clients at a time.
  let maxConnections: Int
  /// Seconds without a byte after which a client is disconnected; infinite for never.
  let idleTimeout: Double
  /// Calls of one client that run side by side.
  let callsAtOnce: Int
  /// What happens to a function that waits when its client leaves.
  let onDisconnect: OnDisconnect
  /// What a client's connection needs before its first request.
  let opening: OpeningSettings
  /// The program's own `pcall`; empty when it has none.
  let pcall: LuaStored
  /// Where a zmq server listens.
  let url: String
  let log: PeerLog
  /// Clients that there are.
  var connections = 0
  private let main: LuaCall

  /// Reads the table at `index`.
  ///
  /// - Parameters:
  ///   - isStream: false for ZeroMQ, which has a URL in the place of interface, port and TLS.
  ///   - loop: the dispatcher that serves. With its main thread's stack the namespace is released.
  init(
    _ call: LuaCall, at index: Int, isStream: Bool = true, codecs: TangoCodecs, loop: CopasLoop
  ) throws(LuaFailure) {
    let main = loop.main
    let table = try ConfigurationTable(call, at: index, module: "tango")
    interface = try table.string("interface", default: "127.0.0.1")
    port = try table.integer("port", default: 12345, in: 0...65535)
    url = try table.string("url", default: "tcp://127.0.0.1:12345")
    var access: Access = []
    if table.boolean("read_access", default: true) { access.insert(.read) }
    if table.boolean("write_access", default: true) { access.insert(.write) }
    self.access = access
    limits = try table.limits()
    keeper = BufferKeeper.make(limits, on: loop)
    maxConnections = try table.integer("max_connections", default: .max >> 10, in: 1...(.max >> 10))
    idleTimeout = try table.seconds("idle_timeout", default: .infinity)
    onDisconnect = try table.onDisconnect()
    callsAtOnce = try table.callsAtOnce()
    log = PeerLog(label: "tango")
    self.main = main
    var opening = try OpeningSettings(table, mode: isStream ? "server" : nil)

    let exposesGlobals = try table.pushNamespace()
    namespaceIdentity = call.identity(at: -1)
    namespace = call.retainTop()
    do throws(LuaFailure) {
      if exposesGlobals, opening.tls?.requiresCertificate != true {
        if isStream {
          try table.refuseExposure(of: interface, loopback: "interface = '127.0.0.1'")
        } else {
          try table.refuseExposure(
            of: Self.host(of: url), loopback: "url = 'tcp://127.0.0.1:12345'")
        }
      }
      opening.authorization = .init(tango: try table.function("authorize"))
      self.opening = opening
      pcall = try Self.ownPcall(table)
      codec = try MessageCodec(table, codecs)
    } catch {
      main.release(namespace)
      throw error
    }
  }

  deinit { main.release(namespace) }

  /// The field `pcall`; empty for Lua's own `pcall`: functions are called directly then.
  private static func ownPcall(_ table: ConfigurationTable) throws(LuaFailure) -> LuaStored {
    let pcall = try table.function("pcall")
    if pcall.isEmpty { return pcall }
    let call = table.call
    milonga_pushglobaltable(call.state)
    call.pushField("pcall", of: -1)
    pcall.push(onto: call)
    defer { call.pop(3) }
    return call.identity(at: -1) == call.identity(at: -2) ? LuaStored() : pcall
  }

  /// The host of a ZeroMQ address, as an interface; that of addresses inside the machine is
  /// loopback.
  private static func host(of url: String) -> String {
    guard url.hasPrefix("tcp://") else {
      return url.hasPrefix("ipc://") || url.hasPrefix("inproc://") ? "localhost" : url
    }
    var host = url.dropFirst(6)
    if let colon = host.lastIndex(of: ":") { host = host[..<colon] }
    return String(host.drop { $0 == "[" }.prefix { $0 != "]" })
  }
}
