import LuaConnection
import MilongaLua
import MilongaRPC

/// What a tango client is told.
struct ClientConfiguration {
  let address: String
  let port: Int
  /// What a zmq client connects to.
  let url: String
  /// Seconds that connecting, and each call, may take; infinite for no limit.
  let timeout: Double
  /// A lost connection is made again by the next call.
  let reconnects: Bool
  /// Assignments to proxies make fields of theirs, as with the original.
  let hasLocalFields: Bool
  let codec: MessageCodec
  let limits: RPCLimits
  /// What a connection needs before its first call.
  let opening: OpeningSettings
  /// Asked about each connection that was made, in the registry.
  private let authorize: Int32?

  init(
    _ call: LuaCall, at index: Int, isStream: Bool = true, codecs: TangoCodecs, main: LuaCall
  ) throws(LuaFailure) {
    let table = try ConfigurationTable(call, at: index, module: "tango")
    address = try table.string("address", default: "localhost")
    port = try table.integer("port", default: 12345, in: 0...65535)
    url = try table.string("url", default: "tcp://localhost:12345")
    timeout = try table.seconds("timeout", default: 5000)
    let handshakeTimeout = try table.seconds("ssl_timeout", default: 10)
    reconnects = table.boolean("reconnect", default: false)
    hasLocalFields = table.boolean("local_fields", default: false)
    var limits = try table.limits()
    limits.callsInFlight = try table.integer(
      "max_calls_in_flight", default: limits.callsInFlight, in: 1...(1 << 30))
    self.limits = limits
    let tls = isStream ? try TLSContext.make(table, mode: "client", main: main) : nil
    // Last, because nothing would let go of the functions if the rest failed.
    authorize = isStream ? try table.function("authorize") : nil
    opening = OpeningSettings(
      destination: (address, port), tls: tls, handshakeTimeout: handshakeTimeout,
      authorization: authorize.map(OpeningSettings.Authorization.init(tango:)))
    do throws(LuaFailure) {
      codec = try MessageCodec(table, codecs)
    } catch {
      if let authorize { main.release(authorize) }
      throw error
    }
  }

  /// Lets go of what is kept in the registry.
  func release(_ call: LuaCall) {
    codec.release(call)
    if let authorize { call.release(authorize) }
  }
}
