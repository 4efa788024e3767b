import CShims
import Lua
import LuaConnection
import RPC

/// A program's own pair of functions in the place of tango's text, in the registry.
struct CustomCodec {
  var serialize: Int32?
  var unserialize: Int32?

  init(_ table: ConfigurationTable) throws(LuaFailure) {
    serialize = try table.function("serialize")
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
  let access: Access
  let codec: CustomCodec
  let limits: RPCLimits
  let log: PeerLog
  private let main: LuaCall

  /// Takes the table at `index`, or its defaults.
  ///
  /// - Parameter main: the main thread's stack, with which what is kept is let go.
  init(_ call: LuaCall, at index: Int, main: LuaCall) throws(LuaFailure) {
    let table = try ConfigurationTable(call, at: index, module: "tango")
    try table.refuseTLS()
    interface = try table.string("interface", default: "127.0.0.1")
    port = try table.integer("port", default: 12345, in: 0...65535)
    var access: Access = []
    if table.boolean("read_access", default: true) { access.insert(.read) }
    if table.boolean("write_access", default: true) { access.insert(.write) }
    self.access = access
    limits = try table.limits()
    log = PeerLog(label: "tango")
    self.main = main

    let (namespace, exposesGlobals) = try table.namespace()
    do throws(LuaFailure) {
      if exposesGlobals {
        try table.refuseExposure(of: interface, loopback: "interface = '127.0.0.1'")
      }
      codec = try CustomCodec(table)
    } catch {
      main.release(namespace)
      throw error
    }
    self.namespace = namespace
  }

  deinit {
    codec.release(main)
    main.release(namespace)
  }
}

extension ConfigurationTable {
  /// TLS comes with a later version; to go on without it would be worse than to stop.
  func refuseTLS() throws(LuaFailure) {
    guard push("sslparams") else { return }
    throw call.failure("tango: 'sslparams' is not supported yet")
  }
}
