import CMilongaLua
import CMilongaShims
import MilongaLua
import MilongaRPC

/// The fields of the table that a program configures a client or server with.
package struct ConfigurationTable {
  package let call: LuaCall
  /// The table's place on the stack; nil when there is none, and every field has its default.
  package let index: Int?
  /// The Lua module, for error messages.
  let module: StaticString

  /// Takes the argument at `index`: a table, or nil and none.
  package init(_ call: LuaCall, at index: Int, module: StaticString) throws(LuaFailure) {
    self.call = call
    self.module = module
    if call.isNoneOrNil(at: index) {
      self.index = nil
    } else {
      try call.check(index, is: .table)
      self.index = index
    }
  }

  /// Pushes the field; false, with nothing pushed, when it is nil.
  package func push(_ name: StaticString) -> Bool {
    guard let index else { return false }
    call.pushField(name, of: index)
    if call.type(at: -1) != .nil { return true }
    call.pop()
    return false
  }

  /// The text of a field.
  package func string(_ name: StaticString, default fallback: String) throws(LuaFailure) -> String {
    guard push(name) else { return fallback }
    let text = call.stringIfString(at: -1)
    call.pop()
    guard let text else { throw wrong(name, "a string") }
    return text
  }

  /// The number of a field.
  package func number(_ name: StaticString, default fallback: Double) throws(LuaFailure) -> Double {
    guard push(name) else { return fallback }
    let number = call.numberIfNumber(at: -1)
    call.pop()
    guard let number else { throw wrong(name, "a number") }
    return number
  }

  /// The seconds of a field; negative ones are no limit.
  package func seconds(_ name: StaticString, default fallback: Double) throws(LuaFailure) -> Double
  {
    let seconds = try number(name, default: fallback)
    return seconds < 0 ? .infinity : seconds
  }

  /// Whether a field is true in Lua's sense: neither nil nor false.
  package func boolean(_ name: StaticString, default fallback: Bool) -> Bool {
    guard push(name) else { return fallback }
    defer { call.pop() }
    return call.boolean(at: -1)
  }

  /// The integer of a field, within a range.
  package func integer(
    _ name: StaticString, default fallback: Int, in range: ClosedRange<Int>
  ) throws(LuaFailure) -> Int {
    let number = try number(name, default: Double(fallback))
    guard let integer = Int(exactly: number), range.contains(integer) else {
      throw wrong(name, "an integer from \(range.lowerBound) to \(range.upperBound)")
    }
    return integer
  }

  /// The function of a field; empty when it is not set.
  package func function(_ name: StaticString) throws(LuaFailure) -> LuaStored {
    guard push(name) else { return LuaStored() }
    guard call.type(at: -1) == .function else { throw wrong(name, "a function") }
    return LuaStored(popping: call)
  }

  /// An error about the field.
  package func wrong(_ name: StaticString, _ expected: String) -> LuaFailure {
    call.failure("\(module): bad configuration: '\(name)' must be \(expected)")
  }

  /// Pushes the table of what peers may use: the field `functab`, or `_G`.
  ///
  /// - Returns: whether it is `_G`.
  package func pushNamespace() throws(LuaFailure) -> Bool {
    milonga_pushglobaltable(call.state)
    let globals = call.identity(at: -1)
    if push("functab") {
      call.remove(at: -2)
      guard call.type(at: -1) == .table else { throw wrong("functab", "a table") }
    }
    return call.identity(at: -1) == globals
  }

  /// An error, unless only this machine can reach the interface or the program has set `insecure`.
  ///
  /// - Parameter loopback: what to write for an interface that only this machine reaches.
  package func refuseExposure(of interface: String, loopback: String) throws(LuaFailure) {
    guard !isLoopback(interface), !boolean("insecure", default: false) else { return }
    throw call.failure(
      "\(module): refusing to offer all globals (_G: os.execute, io.open, ...) to everybody who "
        + "can reach interface '\(interface)'; pass functab = {...} with what clients may use, or "
        + "\(loopback), or, if that is really wanted, insecure = true")
  }

  /// The limits for one connection, and for all together.
  ///
  /// - Parameters:
  ///   - defaults: the limits for which there are no fields.
  ///   - deepest: the most that `max_depth` may be.
  package func limits(
    _ defaults: RPCLimits = RPCLimits(), deepest: Int = 150
  ) throws(LuaFailure) -> RPCLimits {
    var limits = defaults
    limits.frameBytes = try integer(
      "max_frame_bytes", default: limits.frameBytes, in: 1...(1 << 40))
    limits.depth = try integer("max_depth", default: limits.depth, in: 1...deepest)
    limits.values = try integer("max_values", default: limits.values, in: 1...(1 << 40))
    limits.maxBufferedBytes = try integer(
      "max_buffered_bytes", default: limits.maxBufferedBytes, in: 1...(1 << 40))
    limits.references = try integer("max_references", default: limits.references, in: 0...(1 << 40))
    return limits
  }

  /// How many calls of one connection run side by side: the fields `ordered` and
  /// `max_concurrent_calls`.
  public func callsAtOnce() throws(LuaFailure) -> Int {
    let most = try integer("max_concurrent_calls", default: 256, in: 1...(1 << 20))
    return boolean("ordered", default: false) ? 1 : most
  }
}

/// Whether only this machine reaches a server on this interface.
package func isLoopback(_ interface: String) -> Bool {
  interface == "localhost" || interface == "::1" || interface.hasPrefix("127.")
}
