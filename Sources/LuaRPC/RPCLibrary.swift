import CMilongaLua
import CMilongaShims
import Copas
import LuaCodec
import LuaConnection
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler

/// What the peers of one Lua state share.
final class RPCLibrary {
  let sockets: SocketLibrary
  let loop: CopasLoop
  let spare = SpareBuffer()
  /// Reader and writer keep memory for the next message.
  private var reader = LuatobinReader(limits: CodecLimits())
  private var isReading = false
  private var writer = LuatobinWriter()
  private var isWriting = false
  private(set) var peers: LuaClass<RPCPeer>!
  private(set) var objects: LuaClass<RemoteObject>!
  let signatures: RPCSignatures
  /// The metatable of peers.
  private var metatable = LuaStored()
  /// The function that workers run.
  private(set) var workerFunction = LuaStored()
  private var lastID = 0
  var configurationClass: LuaClass<RPCConfiguration>?

  /// A peer's table has the userdata of this class under a key that no program can have.
  private static let peerKey = LuaRegistryKey()

  init(_ call: LuaCall, loop: CopasLoop) {
    sockets = loop.sockets
    self.loop = loop
    signatures = RPCSignatures(call)
    peers = LuaClass(call, name: "rpc connection", finalize: { $0.release() })
    objects = LuaClass(call, incomplete: "remote object")
    completeObjects(call)
    call.push { [self] (call) throws(LuaFailure) in
      try peers.check(call, at: 1).pointee.work(call, isNew: call.phase == .entered)
    }
    workerFunction = LuaStored(popping: call)
    pushMethods(call)
    metatable = LuaStored(popping: call)
  }

  func nextID() -> Int {
    lastID += 1
    return lastID
  }

  // MARK: Codecs

  /// Lends the reader. Reading allocates in Lua, and so may run a finalizer that calls, and reads:
  /// that gets another one.
  @inline(__always)
  func withReader<Result>(
    _ limits: CodecLimits,
    _ body: (inout LuatobinReader) throws(RPCPeer.ReadFailure) -> Result
  ) throws(RPCPeer.ReadFailure) -> Result {
    guard !isReading else {
      var reader = LuatobinReader(limits: limits)
      return try body(&reader)
    }
    if reader.limits != limits { reader = LuatobinReader(limits: limits) }
    isReading = true
    defer { isReading = false }
    return try body(&reader)
  }

  /// Lends the writer, in the same way.
  @inline(__always)
  func withWriter(
    _ body: (inout LuatobinWriter) throws(GraphFailure) -> Void
  ) throws(GraphFailure) {
    guard !isWriting else {
      var writer = LuatobinWriter()
      return try body(&writer)
    }
    isWriting = true
    defer { isWriting = false }
    try body(&writer)
  }

  // MARK: Peers

  /// Makes a peer of the socket at `index`, and pushes its userdata. The peer has to be opened
  /// (``RPCPeer/open(_:socketAt:)``), then ``admit(_:_:userdataAt:startsWorker:)`` is to follow.
  ///
  /// - Parameter destination: where the socket is to be connected; nil when it is.
  func pushPeer(
    _ call: LuaCall, _ configuration: RPCConfiguration, socketAt index: Int,
    destination: (host: String, port: Int)? = nil
  ) throws(LuaFailure) -> RPCPeer {
    let socket = try sockets.tcp.client.check(call, at: index)
    if destination == nil { try? socket.pointee.socket.set(.noDelay, to: 1) }
    socket.pointee.timeouts.block = -1
    call.pushValue(at: index)
    let socketValue = LuaStored(popping: call)
    let stream = StreamConnection(
      socket, sockets: sockets, loop: loop, spare: spare, keeper: configuration.keeper)
    let peer = RPCPeer(
      self, configuration, stream, socketValue: socketValue, destination: destination)
    peers.push(peer, onto: call)
    return peer
  }

  /// Lets the peer begin, which lives until its connection ends, and pushes its table.
  ///
  /// - Parameters:
  ///   - index: the place of its userdata.
  ///   - startsWorker: starts the thread that serves the other side.
  func admit(_ call: LuaCall, _ peer: RPCPeer, userdataAt index: Int, startsWorker: Bool) {
    call.pushTable(fields: 4)
    peer.pushSocket(onto: call)
    call.setField("skt", of: -2)
    call.push(peer.id)
    call.setField("id", of: -2)
    call.pushValue(at: index)
    call.setField(Self.peerKey, of: -2)
    metatable.push(onto: call)
    milonga_setmetatable(call.state, -2)
    call.pushValue(at: index)
    peer.userdata = LuaStored(popping: call)
    if startsWorker { peer.startWorker() }
  }

  /// The peer whose table, or whose userdata, is at `index`.
  func check(_ call: LuaCall, at index: Int) throws(LuaFailure) -> RPCPeer {
    if call.type(at: index) == .table {
      call.pushField(Self.peerKey, of: index)
      let peer = peers.payload(call, at: -1)?.pointee
      call.pop()
      if let peer { return peer }
    }
    throw call.typeFailure(argument: index, expected: "rpc peer")
  }

  /// Replaces the peer's table at 1 by its userdata.
  private func enter(_ call: LuaCall) throws(LuaFailure) -> RPCPeer {
    let peer = try check(call, at: 1)
    guard call.reserve(16) else { throw call.failure("rpc: too many arguments") }
    call.pushField(Self.peerKey, of: 1)
    call.replace(at: 1)
    return peer
  }

  /// The peer of a function that runs again.
  private func peer(_ call: LuaCall) throws(LuaFailure) -> RPCPeer {
    try peers.check(call, at: 1).pointee
  }

  private func pushMethods(_ call: LuaCall) {
    call.pushTable(fields: 4)
    call.push("rpc.session")
    call.setField("__type", of: -2)
    call.push("rpc.session")
    call.setField("__name", of: -2)
    call.pushTable(fields: 10)
    call.setFunction("call") { [self] (call) throws(LuaFailure) in
      guard call.phase == .entered else { return try peer(call).run(call) }
      let peer = try enter(call)
      guard call.type(at: 2) == .string else {
        throw call.typeFailure(argument: 2, expected: "string")
      }
      return try peer.run(call)
    }
    addFunction(call, "eval", .evaluate)
    addFunction(call, "call0", .call0)
    call.setFunction("invoke") { [self] (call) throws(LuaFailure) in
      guard call.phase == .entered else { return try peer(call).run(call) }
      let peer = try enter(call)
      guard objects.payload(call, at: 2) != nil else {
        throw call.typeFailure(argument: 2, expected: "remote object")
      }
      try call.check(3, is: .string)
      call.push(LuaRPCFunction.invoke.name)
      call.insert(at: 2)
      return try peer.run(call)
    }
    call.setFunction("remsignature") { [self] (call) throws(LuaFailure) in
      guard call.phase == .entered else { return try peer(call).run(call) }
      let peer = try enter(call)
      call.push("rpc.signature")
      call.insert(at: 2)
      return try peer.run(call)
    }
    call.setFunction("newexec") { [self] (call) throws(LuaFailure) in
      if call.phase == .entered {
        let peer = try enter(call)
        call.count = 2
        try checkScript(call)
        call.push(LuaRPCFunction.build.name)
        call.insert(at: 2)
        return try finishNewexec(call, peer)
      }
      return try finishNewexec(call, try peer(call))
    }
    call.setFunction("close") { [self] (call) throws(LuaFailure) in
      try check(call, at: 1).close()
      return .results(0)
    }
    call.setField("__index", of: -2)
    addMetamethods(call)
  }

  private func addMetamethods(_ call: LuaCall) {
    call.setFunction("__close") { [self] (call) throws(LuaFailure) in
      try check(call, at: 1).close()
      return .results(0)
    }
    call.setFunction("__tostring") { [self] (call) throws(LuaFailure) in
      let peer = try check(call, at: 1)
      call.push("rpc.session: \(peer.address)\(peer.isOpen ? "" : " (closed)")")
      return .results(1)
    }
  }

  /// A method that calls one of the functions that every peer has.
  private func addFunction(_ call: LuaCall, _ method: StaticString, _ function: LuaRPCFunction) {
    call.setFunction(method) { [self] (call) throws(LuaFailure) in
      guard call.phase == .entered else { return try peer(call).run(call) }
      let peer = try enter(call)
      if function == .evaluate, call.type(at: 2) != .string {
        throw call.typeFailure(argument: 2, expected: "string")
      }
      call.push(function.name)
      call.insert(at: 2)
      return try peer.run(call)
    }
  }

  // MARK: newexec

  /// The script at 2: text, a table of pieces, or a function.
  private func checkScript(_ call: LuaCall) throws(LuaFailure) {
    switch call.type(at: 2) {
    case .string, .table, .function: return
    default: throw call.typeFailure(argument: 2, expected: "string, table of strings or function")
    }
  }

  /// Goes on with `__rpcbuildexec`; the result is a function that runs the script over there.
  private func finishNewexec(_ call: LuaCall, _ peer: RPCPeer) throws(LuaFailure) -> LuaOutcome {
    let outcome = try peer.run(call)
    guard let count = peer.finished else { return outcome }
    // nil and an error, such as "closed".
    if count >= 1, call.type(at: call.count - count + 1) == .nil { return outcome }
    guard count == 1, call.type(at: -1) == .number else {
      throw call.failure("rpc: the other side's answer to newexec is not the number of a script")
    }
    call.pushValue(at: 1)
    call.insert(at: -2)
    // Upvalues: the peer's userdata and the script's number.
    call.push(upvalues: 2) { [self] (call) throws(LuaFailure) in
      guard call.phase == .entered else { return try self.peer(call).run(call) }
      guard call.reserve(16) else { throw call.failure("rpc: too many arguments") }
      call.pushUpvalue(1)
      call.push(LuaRPCFunction.run.name)
      call.pushUpvalue(2)
      lua_rotate(call.state, 1, 3)
      return try self.peer(call).run(call)
    }
    return .results(1)
  }

  // MARK: Remote objects

  /// `object:method(...)` calls it on the other side.
  private func completeObjects(_ call: LuaCall) {
    objects.complete(
      call,
      metamethods: { call in
        call.setFunction("__index") { [self] (call) throws(LuaFailure) in
          guard call.type(at: 2) == .string else {
            call.pushNil()
            return .results(1)
          }
          call.count = 2
          call.push(upvalues: 1) { [self] (call) throws(LuaFailure) in try callMethod(call) }
          return .results(1)
        }
        call.setFunction("__tostring") { [self] (call) throws(LuaFailure) in
          let object = try objects.check(call, at: 1)
          call.push("<remote \(object.pointee.peer.id):\(object.pointee.id)>")
          return .results(1)
        }
      })
  }

  /// The object is at 1, the method's name an upvalue.
  private func callMethod(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    guard call.phase == .entered else { return try peer(call).run(call) }
    guard let object = objects.payload(call, at: 1) else {
      throw call.argumentFailure(1, "remote object expected; call methods with a colon")
    }
    let peer = object.pointee.peer
    guard call.reserve(16) else { throw call.failure("rpc: too many arguments") }
    call.pushUpvalue(1)
    call.insert(at: 2)
    guard peer.pushUserdata(call) else {
      call.pushNil()
      call.push("closed")
      return .results(2)
    }
    call.push(LuaRPCFunction.invoke.name)
    lua_rotate(call.state, 1, 2)
    return try peer.run(call)
  }
}
