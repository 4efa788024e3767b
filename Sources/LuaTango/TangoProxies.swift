import CMilongaLua
import CMilongaShims
import Copas
import LuaSocket
import MilongaLua

/// The tables that stand for remote functions and variables, and for remote objects.
///
/// A proxy is a table, so that one that was used is found again by a plain table access. It knows its
/// connection and its path under keys that no program can have.
final class TangoProxies {
  let connections: LuaClass<TangoCaller>
  let futures: TangoFutures
  static let connectionKey = LuaRegistryKey()
  private static let pathKey = LuaRegistryKey()
  /// In proxies whose calls are futures for `pipeline`: the list of these.
  private static let listKey = LuaRegistryKey()
  /// In the functions of a remote object: the object and the name.
  private static let objectKey = LuaRegistryKey()
  private static let nameKey = LuaRegistryKey()
  /// In references: the connection's generation that they belong to.
  private static let generationKey = LuaRegistryKey()
  private var proxyMetatable: Int32 = 0
  private var asyncMetatable: Int32 = 0
  private var referenceMetatable: Int32 = 0
  private var methodMetatable: Int32 = 0

  private let loop: CopasLoop

  init(_ call: LuaCall, loop: CopasLoop) {
    self.loop = loop
    connections = LuaClass(call, name: "tango connection", finalize: { $0.release() })
    futures = TangoFutures(call, loop: loop)
    call.pushTable(fields: 2)
    call.setFunction("__index") { [self] (call) throws(LuaFailure) in
      try index(call, isAsync: false)
    }
    call.setFunction("__call") { [self] (call) throws(LuaFailure) in
      if call.phase == .entered { try prepareCall(call) }
      return try run(call)
    }
    proxyMetatable = call.retainTop()
    call.pushTable(fields: 2)
    call.setFunction("__index") { [self] (call) throws(LuaFailure) in
      try index(call, isAsync: true)
    }
    call.setFunction("__call") { [self] (call) throws(LuaFailure) in try callLater(call) }
    asyncMetatable = call.retainTop()
    call.pushTable(fields: 2)
    call.setFunction("__index") { [self] (call) throws(LuaFailure) in try indexReference(call) }
    call.setFunction("__gc") { [self] (call) throws(LuaFailure) in
      abandon(call)
      return .results(0)
    }
    referenceMetatable = call.retainTop()
    call.pushTable(fields: 1)
    call.setFunction("__call") { [self] (call) throws(LuaFailure) in
      if call.phase == .entered { try prepareMethod(call) }
      return try run(call)
    }
    methodMetatable = call.retainTop()
  }

  /// Pushes a new proxy.
  ///
  /// - Parameters:
  ///   - connection: the place of the connection on the stack.
  ///   - path: the place of the path, nil for the root.
  ///   - list: the place of a pipeline's list, which makes the proxy one of futures.
  func push(_ call: LuaCall, connection: Int, path: Int?, isAsync: Bool = false, list: Int? = nil) {
    call.pushTable(fields: 4)
    let proxy = call.count
    call.pushValue(at: connection)
    call.setField(Self.connectionKey, of: proxy)
    if let path {
      call.pushValue(at: path)
      call.setField(Self.pathKey, of: proxy)
    }
    if let list {
      call.pushValue(at: list)
      call.setField(Self.listKey, of: proxy)
    }
    call.pushRetained(isAsync ? asyncMetatable : proxyMetatable)
    milonga_setmetatable(call.state, -2)
  }

  /// `proxy.name` for the first time: a new proxy, which is kept.
  private func index(_ call: LuaCall, isAsync: Bool) throws(LuaFailure) -> LuaOutcome {
    try call.check(1, is: .table)
    guard call.type(at: 2) == .string else {
      throw call.failure(
        "tango: remote names are strings, not \(call.typeName(at: 2)) values; fetch a table "
          + "with con.name() to look inside it")
    }
    call.count = 2
    call.pushField(Self.connectionKey, of: 1)
    call.pushField(Self.pathKey, of: 1)
    call.pushField(Self.listKey, of: 1)
    let isRoot = call.type(at: 4) == .nil
    if isRoot, !isAsync, pushOwn(call) {
      // The connection's own function, or proxies.
    } else {
      if isRoot {
        call.pushValue(at: 2)
      } else {
        call.pushValue(at: 4)
        call.push(".")
        call.pushValue(at: 2)
        call.concatenate(3)
      }
      call.replace(at: 4)
      let list = call.type(at: 5) == .nil ? nil : 5
      push(call, connection: 3, path: 4, isAsync: isAsync, list: list)
    }
    call.pushValue(at: 2)
    call.pushValue(at: -2)
    milonga_rawset(call.state, 1)
    return .results(1)
  }

  /// Pushes what a connection has itself under the name at 2: `async` and `pipeline`. False for other names.
  private func pushOwn(_ call: LuaCall) -> Bool {
    let name = call.bytesIfString(at: 2)!
    if name.elementsEqual("async".utf8) {
      push(call, connection: 3, path: nil, isAsync: true)
      return true
    }
    guard name.elementsEqual("pipeline".utf8) else { return false }
    call.pushValue(at: 3)
    call.push(upvalues: 1) { [self] (call) throws(LuaFailure) in try pipeline(call) }
    return true
  }

  /// `proxy(...)`: the proxy at 1 makes way for its connection and its path.
  private func prepareCall(_ call: LuaCall) throws(LuaFailure) {
    guard call.type(at: 1) == .table, call.reserve(8) else {
      throw call.typeFailure(argument: 1, expected: "tango proxy")
    }
    call.pushField(Self.connectionKey, of: 1)
    call.pushField(Self.pathKey, of: 1)
    guard call.type(at: -2) == .userdata else {
      throw call.typeFailure(argument: 1, expected: "tango proxy")
    }
    guard call.type(at: -1) == .string else {
      throw call.failure(
        "tango: the connection itself cannot be called; name a remote function: con.name(...)")
    }
    call.insert(at: 2)
    call.replace(at: 1)
  }

  /// Performs the call whose connection, path and arguments are on the stack.
  private func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let caller = try connections.check(call, at: 1).pointee
    try loop.requireOwnResumption(call, "tango")
    return try caller.run(call)
  }

  /// `close(con)`: the connection ends, and whoever waits for an answer is told.
  func addClose(_ call: LuaCall) {
    call.setFunction("close") { [self] (call) throws(LuaFailure) in
      guard isTable(call, at: 1, withMetatable: proxyMetatable) else {
        throw call.argumentFailure(
          1, "connection expected, as tango.client.socket.connect returns it")
      }
      call.count = 1
      call.pushField(Self.connectionKey, of: 1)
      try connections.check(call, at: 2).pointee.close()
      return .results(0)
    }
  }

  // MARK: Calls whose answers are waited for later

  /// `con.async.name(...)`: the future takes the place of the proxy.
  private func callLater(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    guard call.phase == .entered else {
      let future = try futures.check(call, at: 1)
      try loop.requireOwnResumption(call, "tango")
      return try future.caller.begin(call, future)
    }
    guard call.type(at: 1) == .table, call.reserve(12) else {
      throw call.typeFailure(argument: 1, expected: "tango proxy")
    }
    call.pushField(Self.listKey, of: 1)
    let list = call.count
    let isListed = call.type(at: list) == .table
    // Behind the arguments, and not sent: it goes with the proxy.
    let arguments = list - 1
    call.pushField(Self.connectionKey, of: 1)
    let caller = try connections.check(call, at: list + 1).pointee
    let future = futures.push(call, caller, connection: list + 1)
    if isListed {
      call.pushValue(at: -1)
      milonga_rawseti(
        call.state, Int32(list), lua_Integer(lua_rawlen(call.state, Int32(list))) + 1)
    }
    call.insert(at: 1)
    call.count = arguments + 1
    // future, proxy, arguments  becomes  future, path, arguments
    call.pushField(Self.pathKey, of: 2)
    guard call.type(at: -1) == .string else {
      future.fail("not sent")
      throw call.failure(
        "tango: the connection itself cannot be called; name a remote function: con.async.name(...)"
      )
    }
    call.replace(at: 2)
    future.mayRest = isListed
    return try caller.begin(call, future)
  }

  /// The places of the stack in `pipeline`.
  private enum Slot {
    static let connection = 1
    static let list = 2
    static let results = 3
    /// The first error, and whether there is one.
    static let error = 4
    static let hasFailed = 5
    /// The future that is waited for.
    static let position = 6
  }

  private enum Step: Int {
    case body = 1
    case get
  }

  /// `con.pipeline(f)`: the calls that `f` makes through its argument leave together; the first results of all of
  /// them, in a table.
  private func pipeline(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    switch call.phase {
    case .entered:
      try call.check(1, is: .function)
      call.count = 1
      call.pushUpvalue(1)
      call.insert(at: 1)
      call.pushTable()
      call.insert(at: Slot.list)
      call.pushTable()
      call.insert(at: Slot.results)
      call.pushNil()
      call.insert(at: Slot.error)
      call.push(false)
      call.insert(at: Slot.hasFailed)
      call.push(0)
      call.insert(at: Slot.position)
      push(call, connection: Slot.connection, path: nil, isAsync: true, list: Slot.list)
      return .protectedCall(arguments: 1, results: 0, state: Step.body.rawValue)
    case .resumed: return .results(0)
    case .returned, .failed:
      let hasFailed = call.phase == .failed
      let isBody = call.step == Step.body.rawValue
      if isBody { try connections.check(call, at: Slot.connection).pointee.sendRested(call) }
      // Without the function's error, which counts, the answers are for nobody.
      if isBody, hasFailed { throw .raised }
      let position = try call.integer(at: Slot.position)
      if !isBody {
        if !hasFailed {
          milonga_rawseti(call.state, Int32(Slot.results), lua_Integer(position))
        } else if !call.boolean(at: Slot.hasFailed) {
          call.replace(at: Slot.error)
          call.push(true)
          call.replace(at: Slot.hasFailed)
        }
      }
      call.count = Slot.position
      guard position < Int(lua_rawlen(call.state, Int32(Slot.list))) else {
        return try endPipeline(call, position)
      }
      call.push(position + 1)
      call.replace(at: Slot.position)
      futures.pushGet(call)
      milonga_rawgeti(call.state, Int32(Slot.list), lua_Integer(position + 1))
      return .protectedCall(arguments: 1, results: 1, state: Step.get.rawValue)
    }
  }

  private func endPipeline(_ call: LuaCall, _ count: Int) throws(LuaFailure) -> LuaOutcome {
    if call.boolean(at: Slot.hasFailed) {
      call.pushValue(at: Slot.error)
      throw .raised
    }
    call.pushValue(at: Slot.results)
    call.push(count)
    call.setField("n", of: -2)
    return .results(1)
  }

  // MARK: Remote objects

  /// Sets `ref` and `unref` in the table on top of the stack.
  func addReferences(_ call: LuaCall) {
    call.setFunction("ref") { [self] (call) throws(LuaFailure) in try reference(call) }
    call.setFunction("unref") { [self] (call) throws(LuaFailure) in
      if call.phase == .entered {
        try checkReference(call)
        call.count = 1
        // The collector need not do it again.
        call.pushNil()
        call.setField(Self.generationKey, of: 1)
        call.pushField("id", of: 1)
        try replaceReference(call, with: "tango.ref_release")
        if call.type(at: 3) == .string, let caller = connections.payload(call, at: 1)?.pointee {
          caller.letGo(call.bytesIfString(at: 3)!)
        }
      }
      return try run(call)
    }
  }

  /// `ref(proxy, ...)`: calls the remote function, or the method of a remote object, and keeps what it returns there.
  private func reference(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .entered {
      if isTable(call, at: 1, withMetatable: methodMetatable) {
        // tango.ref(object.method, ...)  is  object:method(...)
        call.pushField(Self.objectKey, of: 1)
        call.insert(at: 2)
        try prepareMethod(call)
      } else if isTable(call, at: 1, withMetatable: proxyMetatable) {
        try prepareCall(call)
      } else {
        throw call.argumentFailure(1, "tango proxy expected, such as con.io.popen")
      }
      call.push("tango.ref_create")
      call.insert(at: 2)
    }
    let outcome = try run(call)
    guard let caller = connections.payload(call, at: 1)?.pointee, caller.hasFinished else {
      return outcome
    }
    // The results are the topmost values; the first is the id.
    guard call.count > 1, call.type(at: -1) == .string else {
      throw call.failure("tango: the server's answer to tango.ref is not a reference")
    }
    caller.hold(call.bytesIfString(at: -1)!)
    call.pushTable(fields: 4)
    call.pushValue(at: -2)
    call.setField("id", of: -2)
    push(call, connection: 1, path: nil)
    call.setField("proxy", of: -2)
    call.pushValue(at: 1)
    call.setField(Self.connectionKey, of: -2)
    call.push(caller.generation)
    call.setField(Self.generationKey, of: -2)
    call.pushRetained(referenceMetatable)
    milonga_setmetatable(call.state, -2)
    return .results(1)
  }

  /// Nobody has the reference at 1 any more.
  private func abandon(_ call: LuaCall) {
    guard call.type(at: 1) == .table else { return }
    call.count = 1
    call.pushField(Self.generationKey, of: 1)
    call.pushField(Self.connectionKey, of: 1)
    call.pushField("id", of: 1)
    guard let generation = call.integerIfInteger(at: 2), call.type(at: 4) == .string,
      let caller = connections.payload(call, at: 3)?.pointee
    else { return }
    caller.abandonReference(call.bytesIfString(at: 4)!, generation: generation)
  }

  private func checkReference(_ call: LuaCall, at index: Int = 1) throws(LuaFailure) {
    guard isTable(call, at: index, withMetatable: referenceMetatable) else {
      throw call.argumentFailure(1, "reference expected, as tango.ref returns it")
    }
  }

  private func isTable(_ call: LuaCall, at index: Int, withMetatable metatable: Int32) -> Bool {
    guard call.type(at: index) == .table, lua_getmetatable(call.state, Int32(index)) != 0 else {
      return false
    }
    call.pushRetained(metatable)
    defer { call.pop(2) }
    return lua_rawequal(call.state, -1, -2) != 0
  }

  /// `reference.name`: something that calls the object's method; kept in the reference.
  private func indexReference(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    try call.check(1, is: .table)
    call.count = 2
    call.pushTable(fields: 2)
    call.pushValue(at: 1)
    call.setField(Self.objectKey, of: 3)
    call.pushValue(at: 2)
    call.setField(Self.nameKey, of: 3)
    call.pushRetained(methodMetatable)
    milonga_setmetatable(call.state, 3)
    call.pushValue(at: 2)
    call.pushValue(at: 3)
    milonga_rawset(call.state, 1)
    return .results(1)
  }

  /// `object:name(...)`: what stands for the method is at 1, the object at 2. They make way for the connection and the
  /// request.
  private func prepareMethod(_ call: LuaCall) throws(LuaFailure) {
    try checkReference(call, at: 2)
    guard call.reserve(8) else { throw call.failure("too many arguments") }
    call.pushField(Self.nameKey, of: 1)
    call.remove(at: 1)
    call.insert(at: 2)
    // object, name, ...
    call.pushField("id", of: 1)
    call.insert(at: 2)
    try replaceReference(call, with: "tango.ref_call")
  }

  /// The reference at 1 makes way for its connection and the path.
  private func replaceReference(
    _ call: LuaCall, with path: StaticString
  ) throws(LuaFailure) {
    call.push(path)
    call.insert(at: 2)
    call.pushField(Self.connectionKey, of: 1)
    call.replace(at: 1)
  }
}
