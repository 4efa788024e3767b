import CShims
import Lua
import RPC

/// The fields of the table that a program configures a tango client or server with.
struct ConfigurationTable {
  let call: LuaCall
  /// The table's place on the stack; nil when there is none, and every field has its default.
  let index: Int?

  /// Takes the argument at `index`: a table, or nil and none.
  init(_ call: LuaCall, at index: Int) throws(LuaFailure) {
    self.call = call
    if call.isNoneOrNil(at: index) {
      self.index = nil
    } else {
      try call.check(index, is: .table)
      self.index = index
    }
  }

  /// Pushes the field; false, with nothing pushed, when it is nil.
  func push(_ name: StaticString) -> Bool {
    guard let index else { return false }
    call.pushField(name, of: index)
    if call.type(at: -1) != .nil { return true }
    call.pop()
    return false
  }

  func string(_ name: StaticString, default fallback: String) throws(LuaFailure) -> String {
    guard push(name) else { return fallback }
    let text = call.stringIfString(at: -1)
    call.pop()
    guard let text else { throw wrong(name, "a string") }
    return text
  }

  func number(_ name: StaticString, default fallback: Double) throws(LuaFailure) -> Double {
    guard push(name) else { return fallback }
    let number = call.numberIfNumber(at: -1)
    call.pop()
    guard let number else { throw wrong(name, "a number") }
    return number
  }

  func boolean(_ name: StaticString, default fallback: Bool) -> Bool {
    guard push(name) else { return fallback }
    defer { call.pop() }
    return call.boolean(at: -1)
  }

  func integer(
    _ name: StaticString, default fallback: Int, in range: ClosedRange<Int>
  ) throws(LuaFailure) -> Int {
    let number = try number(name, default: Double(fallback))
    guard let integer = Int(exactly: number), range.contains(integer) else {
      throw wrong(name, "an integer from \(range.lowerBound) to \(range.upperBound)")
    }
    return integer
  }

  /// Keeps a field that holds a function in the registry; nil when it is not set.
  func function(_ name: StaticString) throws(LuaFailure) -> Int32? {
    guard push(name) else { return nil }
    guard call.type(at: -1) == .function else { throw wrong(name, "a function") }
    return call.retainTop()
  }

  private func wrong(_ name: StaticString, _ expected: String) -> LuaFailure {
    call.failure("tango: bad configuration: '\(name)' must be \(expected)")
  }

  /// TLS comes with a later version; to go on without it would be worse than to stop.
  func refuseTLS() throws(LuaFailure) {
    guard push("sslparams") else { return }
    throw call.failure("tango: 'sslparams' is not supported yet")
  }

  func limits() throws(LuaFailure) -> RPCLimits {
    var limits = RPCLimits()
    limits.frameBytes = try integer(
      "max_frame_bytes", default: limits.frameBytes, in: 1...(1 << 40))
    limits.depth = try integer("max_depth", default: limits.depth, in: 1...150)
    limits.values = try integer("max_values", default: limits.values, in: 1...(1 << 40))
    limits.references = try integer("max_references", default: limits.references, in: 0...(1 << 40))
    return limits
  }
}

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
  let log: TangoLog
  private let main: LuaCall

  /// Takes the table at `index`, or its defaults.
  ///
  /// - Parameter main: the main thread's stack, with which what is kept is let go.
  init(_ call: LuaCall, at index: Int, main: LuaCall) throws(LuaFailure) {
    let table = try ConfigurationTable(call, at: index)
    try table.refuseTLS()
    interface = try table.string("interface", default: "127.0.0.1")
    port = try table.integer("port", default: 12345, in: 0...65535)
    var access: Access = []
    if table.boolean("read_access", default: true) { access.insert(.read) }
    if table.boolean("write_access", default: true) { access.insert(.write) }
    self.access = access
    limits = try table.limits()
    log = TangoLog()
    self.main = main

    milonga_pushglobaltable(call.state)
    let globals = call.identity(at: -1)
    if table.push("functab") {
      guard call.type(at: -1) == .table else {
        throw call.failure("tango: bad configuration: 'functab' must be a table")
      }
    } else {
      call.pushValue(at: -1)
    }
    let exposesGlobals = call.identity(at: -1) == globals
    if exposesGlobals, !isLoopback(interface), !table.boolean("insecure", default: false) {
      throw call.failure(
        "tango: refusing to offer all globals (_G: os.execute, io.open, ...) to everybody who "
          + "can reach interface '\(interface)'; pass functab = {...} with what clients may use, or "
          + "interface = '127.0.0.1', or, if that is really wanted, insecure = true")
    }
    codec = try CustomCodec(table)
    namespace = call.retainTop()
    call.pop()
  }

  deinit {
    codec.release(main)
    main.release(namespace)
  }
}

private func isLoopback(_ interface: String) -> Bool {
  interface == "localhost" || interface == "::1" || interface.hasPrefix("127.")
}
