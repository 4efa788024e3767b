import CMilongaShims
import Copas
import LuaConnection
import MilongaLua
import MilongaRPC

/// How messages are written and read: in formats that are built in, or by a program's own functions.
struct MessageCodec {
  /// The program's own functions, in the registry.
  var serialize: Int32?
  var unserialize: Int32?
  /// The formats in their place.
  private(set) var writes = MessageFormat.text
  private(set) var reads = MessageFormat.text

  init(_ table: ConfigurationTable, _ codecs: TangoCodecs) throws(LuaFailure) {
    if let format = codecs.format(table, "serialize", of: .encode) {
      writes = format
    } else {
      serialize = try table.function("serialize")
    }
    if let format = codecs.format(table, "unserialize", of: .decode) {
      reads = format
      return
    }
    do throws(LuaFailure) {
      unserialize = try table.function("unserialize")
    } catch {
      release(table.call)
      throw error
    }
  }

  /// Lets go of the functions.
  func release(_ call: LuaCall) {
    if let serialize { call.release(serialize) }
    if let unserialize { call.release(unserialize) }
  }
}

/// What a tango server offers, and to whom.
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
  /// Seconds that a TLS handshake may take.
  let handshakeTimeout: Double
  /// What becomes of a function that waits when its client leaves.
  let onDisconnect: OnDisconnect
  /// What a client's connection needs before its first request.
  let opening: OpeningSettings
  /// Asked about each client, in the registry.
  let authorize: Int32?
  /// The program's own `pcall`, in the registry.
  let pcall: Int32?
  /// Where a zmq server listens.
  let url: String
  let log: PeerLog
  /// Clients that there are.
  var connections = 0
  private let main: LuaCall

  /// Takes the table at `index`, or its defaults.
  ///
  /// - Parameters:
  ///   - isStream: false for ZeroMQ, which has a URL in the place of interface, port and TLS.
  ///   - loop: what serves; with its main thread's stack what is kept is let go.
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
    handshakeTimeout = try table.seconds("ssl_timeout", default: 10)
    onDisconnect = try table.onDisconnect()
    log = PeerLog(label: "tango")
    self.main = main
    let tls = isStream ? try TLSContext.make(table, mode: "server", main: main) : nil

    let (namespace, exposesGlobals) = try table.namespace()
    var kept = [namespace]
    do throws(LuaFailure) {
      if exposesGlobals, tls?.requiresCertificate != true {
        if isStream {
          try table.refuseExposure(of: interface, loopback: "interface = '127.0.0.1'")
        } else {
          try table.refuseExposure(
            of: Self.host(of: url), loopback: "url = 'tcp://127.0.0.1:12345'")
        }
      }
      authorize = try table.function("authorize")
      if let authorize { kept.append(authorize) }
      opening = OpeningSettings(
        tls: tls, handshakeTimeout: handshakeTimeout,
        authorization: authorize.map(
          OpeningSettings.Authorization.init(tango:)))
      pcall = try Self.ownPcall(table)
      if let pcall { kept.append(pcall) }
      codec = try MessageCodec(table, codecs)
    } catch {
      for reference in kept { main.release(reference) }
      throw error
    }
    self.namespace = namespace
    call.pushRetained(namespace)
    namespaceIdentity = call.identity(at: -1)
    call.pop()
  }

  deinit {
    codec.release(main)
    main.release(namespace)
    if let authorize { main.release(authorize) }
    if let pcall { main.release(pcall) }
  }

  /// The field `pcall`; nil for Lua's own, in the place of which functions are called directly.
  private static func ownPcall(_ table: ConfigurationTable) throws(LuaFailure) -> Int32? {
    guard let reference = try table.function("pcall") else { return nil }
    let call = table.call
    milonga_pushglobaltable(call.state)
    call.pushField("pcall", of: -1)
    call.pushRetained(reference)
    defer { call.pop(3) }
    guard call.identity(at: -1) == call.identity(at: -2) else { return reference }
    call.release(reference)
    return nil
  }

  /// The host of a ZeroMQ address, as an interface; that of addresses inside the machine is loopback.
  private static func host(of url: String) -> String {
    guard url.hasPrefix("tcp://") else {
      return url.hasPrefix("ipc://") || url.hasPrefix("inproc://") ? "localhost" : url
    }
    var host = url.dropFirst(6)
    if let colon = host.lastIndex(of: ":") { host = host[..<colon] }
    return String(host.drop { $0 == "[" }.prefix { $0 != "]" })
  }
}

extension OpeningSettings.Authorization {
  /// The program's function is told about the other side, and answers whether that may go on, and why not.
  init(tango function: Int32) {
    self.init(function, results: 2) { stream, call in
      stream.pushPeer(onto: call)
      return 1
    }
  }
}
