import CMilongaLua
import CMilongaShims
import Copas
import MilongaLua

// Remote objects.
extension TangoProxies {
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
        if call.type(at: 3) == .string, let client = connections.payload(call, at: 1)?.pointee {
          client.proxied.letGo(call.bytesIfString(at: 3)!)
        }
      }
      return try run(call)
    }
  }

  /// `ref(proxy, ...)`: calls the remote function, or the method of a remote object, and keeps what
  /// it returns there.
  func reference(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
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
    let progress = try progress(call)
    guard case .results = progress, let client = connections.payload(call, at: 1)?.pointee else {
      return progress.outcome
    }
    // The results are the topmost values; the first is the id.
    guard call.count > 1, call.type(at: -1) == .string else {
      throw call.failure("tango: the server's answer to tango.ref is not a reference")
    }
    client.proxied.hold(call.bytesIfString(at: -1)!)
    call.pushTable(fields: 4)
    call.pushValue(at: -2)
    call.setField("id", of: -2)
    push(call, connection: 1, path: nil)
    call.setField("proxy", of: -2)
    call.pushValue(at: 1)
    call.setField(Self.connectionKey, of: -2)
    call.push(client.proxied.generation)
    call.setField(Self.generationKey, of: -2)
    referenceMetatable.push(onto: call)
    milonga_setmetatable(call.state, -2)
    return .results(1)
  }

  /// Lua has collected the reference at 1.
  func abandon(_ call: LuaCall) {
    guard call.type(at: 1) == .table else { return }
    call.count = 1
    call.pushField(Self.generationKey, of: 1)
    call.pushField(Self.connectionKey, of: 1)
    call.pushField("id", of: 1)
    guard let generation = call.integerIfInteger(at: 2), call.type(at: 4) == .string,
      let client = connections.payload(call, at: 3)?.pointee
    else { return }
    client.proxied.abandonReference(call.bytesIfString(at: 4)!, generation: generation)
  }

  private func checkReference(_ call: LuaCall, at index: Int = 1) throws(LuaFailure) {
    guard isTable(call, at: index, withMetatable: referenceMetatable) else {
      throw call.argumentFailure(1, "reference expected, as tango.ref returns it")
    }
  }

  /// `reference.name`: something that calls the object's method; kept in the reference.
  func indexReference(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    try call.check(1, is: .table)
    call.count = 2
    call.pushTable(fields: 2)
    call.pushValue(at: 1)
    call.setField(Self.objectKey, of: 3)
    call.pushValue(at: 2)
    call.setField(Self.nameKey, of: 3)
    methodMetatable.push(onto: call)
    milonga_setmetatable(call.state, 3)
    call.pushValue(at: 2)
    call.pushValue(at: 3)
    milonga_rawset(call.state, 1)
    return .results(1)
  }

  /// `object:name(...)`: what stands for the method is at 1, the object at 2. They make way for the
  /// connection and the request.
  func prepareMethod(_ call: LuaCall) throws(LuaFailure) {
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
