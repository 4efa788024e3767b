import LuaConnection
import MilongaLua
import MilongaRPC

/// What a tango client is told.
final class ClientConfiguration {
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

  init(
    _ call: LuaCall, at index: Int, isStream: Bool = true, codecs: TangoCodecs
  ) throws(LuaFailure) {
    let table = try ConfigurationTable(call, at: index, module: "tango")
    address = try table.string("address", default: "localhost")
    port = try table.integer("port", default: 12345, in: 0...65535)
    url = try table.string("url", default: "tcp://localhost:12345")
    timeout = try table.seconds("timeout", default: 5000)
    reconnects = table.boolean("reconnect", default: false)
    hasLocalFields = table.boolean("local_fields", default: false)
    var limits = try table.limits()
    limits.callsInFlight = try table.integer(
      "max_calls_in_flight", default: limits.callsInFlight, in: 1...(1 << 30))
    self.limits = limits
    var opening = try OpeningSettings(table, mode: isStream ? "client" : nil)
    opening.destination = (address, port)
    if isStream { opening.authorization = .init(tango: try table.function("authorize")) }
    self.opening = opening
    codec = try MessageCodec(table, codecs)
  }
}
