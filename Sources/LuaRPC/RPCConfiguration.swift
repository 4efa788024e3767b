import CMilongaLua
import CMilongaShims
import Copas
import LuaCodec
import LuaConnection
import MilongaLua
import MilongaRPC

/// What a peer offers to the other side, and what that may cost.
final class RPCConfiguration {
  /// What the other side may do.
  struct Allowed: OptionSet {
    let rawValue: UInt8

    static let call = Allowed(rawValue: 1)
    static let eval = Allowed(rawValue: 2)
    static let newexec = Allowed(rawValue: 4)
    static let everything: Allowed = [.call, .eval, .newexec]
  }

  /// This side listens, and the peers connect.
  let isServer: Bool
  /// The table whose functions and variables can be reached.
  let namespace: LuaStored
  /// That table is `_G`.
  let exposesGlobals: Bool
  let allowed: Allowed
  /// The globals of code that arrives; nil for Lua's own.
  let environment: CodeEnvironment?
  /// Bytes that a run of such code may take; 0 for any number.
  let memoryLimit: Int
  /// How code is compiled, and how long that, and a run, may take.
  let functions: LuaGraphSink.FunctionPolicy
  let sendsBytecode: Bool
  /// What a connection needs before its first message.
  let opening: OpeningSettings
  /// What becomes of a function that waits when the other side leaves.
  let onDisconnect: OnDisconnect
  /// All globals may be offered beyond this machine: the program insists, or each peer has a
  /// certificate.
  let isTrusting: Bool
  /// Seconds that connecting, and each call, may take; infinite for no limit.
  let timeout: Double
  /// Seconds without a byte in the middle of a message after which a connection is given up.
  let stallTimeout: Double
  /// Bytes that may wait for a peer which does not read.
  let mostUnsent: Int
  let limits: RPCLimits
  /// Counts what peers make the process hold.
  let keeper: BufferKeeper
  let log = PeerLog(label: "rpc")

  /// Takes the table at `index`, or its defaults.
  ///
  /// - Parameters:
  ///   - interface: where a server listens; nil for other peers, which are asked when they connect.
  ///   - loop: what serves.
  init(
    _ call: LuaCall, at index: Int, interface: String?, loop: CopasLoop
  ) throws(LuaFailure) {
    let table = try ConfigurationTable(call, at: index, module: "rpc")
    isServer = interface != nil
    let instructionLimit = try table.integer(
      "instruction_limit", default: -1, in: -1...(1 << 60))
    let timeLimit = try table.seconds("time_limit", default: .infinity)
    memoryLimit = try table.integer("memory_limit", default: 0, in: 0...(1 << 40))
    var opening = try OpeningSettings(table, mode: isServer ? "server" : "client")
    onDisconnect = try table.onDisconnect([.finish, .cancel])
    isTrusting =
      table.boolean("insecure", default: false)
      || isServer && opening.tls?.requiresCertificate == true
    sendsBytecode = table.boolean("send_bytecode", default: false)
    timeout = try table.seconds("timeout", default: .infinity)
    stallTimeout = try table.seconds("stall_timeout", default: 60)
    var defaults = RPCLimits()
    defaults.depth = 200
    limits = try table.limits(defaults, deepest: 5000)
    keeper = BufferKeeper.make(limits, on: loop)
    mostUnsent = try table.integer("max_unsent_bytes", default: 64 << 20, in: 1...(1 << 40))

    exposesGlobals = try table.pushNamespace()
    namespace = LuaStored(popping: call)
    if exposesGlobals, !isTrusting, let interface {
      try table.refuseExposure(of: interface, loopback: "listen on 'localhost'")
    }
    allowed = try Self.allowed(table, exposesGlobals)
    if table.push("env") {
      guard call.type(at: -1) == .table else { throw table.wrong("env", "a table") }
      environment = CodeEnvironment(LuaStored(popping: call))
    } else if exposesGlobals {
      environment = nil
    } else {
      // Code that arrives sees what the other side may use anyway.
      namespace.push(onto: call)
      environment = CodeEnvironment(LuaStored(popping: call))
    }
    if instructionLimit >= 0 || timeLimit < .infinity || memoryLimit > 0 {
      try Self.guardLibraries(call, environment)
    }
    opening.authorization = .init(rpc: try table.function("authorize"))
    self.opening = opening
    functions = Self.functionPolicy(
      table, allowed, instructions: instructionLimit, seconds: timeLimit)
  }

  /// How code that arrives is compiled, and how long that, and a run of it, may take.
  private static func functionPolicy(
    _ table: ConfigurationTable, _ allowed: Allowed, instructions: Int, seconds: Double
  ) -> LuaGraphSink.FunctionPolicy {
    var functions = LuaGraphSink.FunctionPolicy(
      acceptsText: allowed.contains(.newexec),
      acceptsBytecode: allowed.contains(.newexec)
        && table.boolean("accept_bytecode", default: false))
    functions.instructions = Int64(instructions)
    // As much as a century is no limit.
    functions.nanoseconds = seconds < 3e9 ? Int64(seconds * 1e9) : -1
    return functions
  }

  /// Whether code that arrives has limits.
  var limitsCode: Bool {
    functions.instructions >= 0 || functions.nanoseconds >= 0 || memoryLimit > 0
  }

  /// Functions of Lua's libraries count what they do from now on, when limited code calls them.
  private static func guardLibraries(
    _ call: LuaCall, _ environment: CodeEnvironment?
  ) throws(LuaFailure) {
    environment?.push(onto: call)
    guard milonga_guard(call.state, environment == nil ? 0 : 1) == LUA_OK else { throw .raised }
  }

  /// The field `allow`: a list of names, or a table of names and booleans. By default code that
  /// arrives is executed only where all globals are offered, too.
  private static func allowed(
    _ table: ConfigurationTable, _ exposesGlobals: Bool
  ) throws(LuaFailure) -> Allowed {
    guard table.push("allow") else { return exposesGlobals ? .everything : [.call, .eval] }
    let call = table.call
    guard call.type(at: -1) == .table else { throw table.wrong("allow", "a table") }
    var allowed: Allowed = []
    call.pushNil()
    while milonga_next(call.state, -2) != 0 {
      // {'call', 'eval'} or {call = true}.
      let isListed = call.type(at: -2) == .number
      let isOn = isListed || call.boolean(at: -1)
      let name =
        call.type(at: isListed ? -1 : -2) == .string
        ? call.stringIfString(at: isListed ? -1 : -2) : nil
      let right: Allowed
      switch name {
      case "call": right = .call
      case "eval": right = .eval
      case "newexec": right = .newexec
      default: throw table.wrong("allow", "a table of 'call', 'eval' and 'newexec'")
      }
      if isOn { allowed.insert(right) }
      call.pop()
    }
    call.pop()
    return allowed
  }
}
