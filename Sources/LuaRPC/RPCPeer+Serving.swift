import CMilongaLua
import CMilongaShims
import LuaCodec
import MilongaIO
import MilongaLua
import MilongaRPC

// The other side's calls. Each is on the stack of the coroutine that has read it: above `base` its
// sequence number, the function's name, the declared types of the results, the function, the
// arguments; later the results in the function's place.
extension RPCPeer {
  /// The places of a call on the stack, above its base.
  enum Served {
    static let sequence = 1
    static let name = 2
    static let types = 3
    static let function = 4
  }

  /// Serves a call whose payload is this. An outcome when a Lua function is to be called; it comes
  /// with ``Step/served(base:)``, and ``returned(_:base:)`` is to follow.
  func serve(
    _ call: LuaCall, base: Int, sequence: UInt8, _ payload: UnsafeRawBufferPointer
  ) -> LuaOutcome? {
    call.push(Int(sequence))
    reception.hasFunctions = false
    do throws(ReadFailure) {
      guard try readValues(call, payload) > 0 else {
        throw .malformed("a call without the name of a function")
      }
    } catch {
      call.count = base
      switch error {
      case .malformed(let text): disconnect("a malformed call: \(text)")
      case .refused(let text): respond(call, sequence, error: "rpc: cannot read the call: \(text)")
      }
      return nil
    }
    guard call.reserve(16) else {
      respond(call, sequence, error: "rpc: too many arguments")
      return nil
    }
    guard call.type(at: base + Served.name) == .string,
      let name = call.bytesIfString(at: base + Served.name)
    else {
      respond(sequence, .noSuchFunction)
      return nil
    }
    if let function = LuaRPCFunction(name) { return serve(call, base, sequence, function) }
    guard allowed.contains(.call) else {
      respond(call, sequence, error: "rpc: calls are not allowed here (functab, allow)")
      return nil
    }
    library.signatures.push(call, functionAt: base + Served.name, length: name.count)
    pushVariable(call, pathAt: base + Served.name)
    switch call.type(at: -1) {
    case .function: break
    case .nil:
      respond(sequence, .noSuchFunction)
      return nil
    default:
      respond(sequence, .notAFunction)
      return nil
    }
    lua_rotate(call.state, Int32(base + Served.types), 2)
    return perform(call, base, isCode: reception.hasFunctions)
  }

  /// Calls what is on the stack. Code that arrived, or a function that was given such code and may
  /// call it, runs within the limits.
  private func perform(_ call: LuaCall, _ base: Int, isCode: Bool) -> LuaOutcome? {
    let arguments = call.count - base - Served.function
    guard isCode, configuration.limitsCode else {
      return .protectedCall(arguments: arguments, state: Step.served(base: base).state)
    }
    // Limited code runs to its end: while it waited, its limits would be those of others.
    let status = milonga_limited_pcall(
      call.state, Int32(arguments), -1, functions.instructions, functions.nanoseconds,
      configuration.memoryLimit)
    finish(call, base, hasFailed: status != LUA_OK)
    return nil
  }

  /// Pushes the variable, or nil, that a path leads to. Tables are read raw: what a metatable would
  /// add cannot be reached from outside.
  private func pushVariable(_ call: LuaCall, pathAt index: Int) {
    guard let path = call.bytesIfString(at: index) else { return call.pushNil() }
    configuration.namespace.push(onto: call)
    for part in PeerPath(path) {
      guard call.type(at: -1) == .table else {
        call.pop()
        return call.pushNil()
      }
      if part.count == path.count, !isNumber(part) {
        call.pushValue(at: index)
      } else {
        call.push(part)
        if isNumber(part) { makeNumber(call, part.count) }
      }
      lua_rawget(call.state, -2)
      call.remove(at: -2)
    }
  }

  private func isNumber(_ part: UnsafeRawBufferPointer) -> Bool {
    UInt8(ascii: "0")...UInt8(ascii: "9") ~= part[0] || part[0] == UInt8(ascii: "-")
  }

  /// Makes the string on top a number, if it spells one.
  private func makeNumber(_ call: LuaCall, _ count: Int) {
    let taken = lua_stringtonumber(call.state, lua_tolstring(call.state, -1, nil))
    guard taken > 0 else { return }
    // What follows a NUL byte was not looked at.
    if taken == count + 1 { call.remove(at: -2) } else { call.pop() }
  }

  // MARK: Functions that every peer has

  /// Serves a call of a reserved function, whose arguments begin where the types have their place.
  private func serve(
    _ call: LuaCall, _ base: Int, _ sequence: UInt8, _ function: LuaRPCFunction
  ) -> LuaOutcome? {
    let first = base + Served.types
    switch function {
    case .evaluate:
      guard allowed.contains(.eval) else { break }
      guard call.count >= first, call.type(at: first) == .string else {
        let got = call.count >= first ? call.typeName(at: first) : "no value"
        respond(
          call, sequence, error: "rpc: eval takes the path of a variable, a string, not \(got)")
        return nil
      }
      call.count = first
      pushVariable(call, pathAt: first)
      respond(call, sequence, .results, from: first + 1, to: first + 1)
      return nil
    case .build:
      guard allowed.contains(.newexec) else { break }
      call.count = max(call.count, first)
      let scripts = scripts ?? Scripts(call, configuration, functions)
      self.scripts = scripts
      if let failure = scripts.keep(call, at: first) {
        respond(call, sequence, error: failure)
      } else {
        respond(call, sequence, .results, from: call.count, to: call.count)
      }
      return nil
    case .run:
      guard allowed.contains(.newexec) else { break }
      return run(call, base, sequence)
    case .invoke: return invoke(call, base, sequence)
    case .call0:
      respond(call, sequence, error: "Not implemented")
      return nil
    }
    respond(
      call, sequence,
      error: "rpc: \(function == .evaluate ? "eval" : "newexec") is not allowed here (allow)")
    return nil
  }

  /// Runs a script that was kept; its number is the first argument.
  private func run(_ call: LuaCall, _ base: Int, _ sequence: UInt8) -> LuaOutcome? {
    let first = base + Served.types
    guard call.count >= first, let scripts, scripts.push(call, numberAt: first) else {
      respond(call, sequence, error: "Undefined exec call")
      return nil
    }
    // The number makes way for no types and the script.
    call.replace(at: first)
    call.pushNil()
    call.insert(at: first)
    return perform(call, base, isCode: true)
  }

  /// Calls a method: the object and the method's name are the first arguments.
  private func invoke(_ call: LuaCall, _ base: Int, _ sequence: UInt8) -> LuaOutcome? {
    let first = base + Served.types
    guard call.count >= first + 1 else {
      respond(call, sequence, error: "rpc: no object, or no name of a method")
      return nil
    }
    guard isLocalObject(call, first) else {
      respond(
        call, sequence,
        error: "rpc: a method can be called of an object of this side, not of a "
          + call.typeName(at: first))
      return nil
    }
    pushTypeName(call, of: first)
    if call.type(at: -1) == .string {
      library.signatures.replaceType(call, byResultsOfMethodAt: first + 1)
    }
    call.pushValue(at: first + 1)
    guard milonga_gettable(call.state, Int32(first)) == LUA_OK else {
      respond(call, sequence, .error, from: call.count, to: call.count)
      return nil
    }
    // object, name, ..., types, method  becomes  types, method, object, ...
    lua_rotate(call.state, Int32(first), 2)
    call.remove(at: first + 3)
    return perform(call, base, isCode: reception.hasFunctions)
  }

  /// Whether the value was sent to the other side by reference. (What it sends as a value has no
  /// methods, except for strings, whose methods could use up all memory.)
  private func isLocalObject(_ call: LuaCall, _ index: Int) -> Bool {
    pushTypeName(call, of: index)
    defer { call.pop() }
    return call.type(at: -1) != .nil
  }

  // MARK: Answers

  /// The function of a served call returned, or has failed.
  func returned(_ call: LuaCall, base: Int) {
    finish(call, base, hasFailed: call.phase == .failed)
  }

  private func finish(_ call: LuaCall, _ base: Int, hasFailed: Bool) {
    let sequence = UInt8(
      truncatingIfNeeded: call.integerIfInteger(at: base + Served.sequence) ?? 0)
    guard isOpen else { return }
    if hasFailed {
      respond(call, sequence, .error, from: call.count, to: call.count)
    } else {
      let types = base + Served.types
      respond(
        call, sequence, .results, from: base + Served.function, to: call.count,
        types: call.type(at: types) == .table ? types : 0)
    }
  }

  /// Answers with values of the stack.
  func respond(
    _ call: LuaCall, _ sequence: UInt8, _ status: LuaRPCStatus, from first: Int, to last: Int,
    types: Int = 0
  ) {
    guard isOpen else { return }
    let top = call.count
    var failedAt = first
    guard call.reserve(8) else { return disconnect("its results do not fit the stack") }
    do throws(GraphFailure) {
      try collect(
        .response, sequence: { sequence },
        payload: { (writer: inout LuatobinWriter) throws(GraphFailure) in
          writer.buffer.append(status.rawValue)
          try write(call, from: first, to: last, types: types, failedAt: &failedAt, &writer)
        })
    } catch {
      call.count = top
      let what = status == .error ? "the error value" : "result #\(failedAt - first + 1)"
      configuration.log.warn(
        address, "a call cannot be answered: \(what)\(error.place): \(error.reason)")
      respondText(sequence, .unserializable) { (writer: inout LuatobinWriter) in
        LuaRPCStatus.unserializableText.withUTF8Buffer { writer.string(UnsafeRawBufferPointer($0)) }
      }
    }
  }

  /// Answers with a status that needs no values.
  func respond(_ sequence: UInt8, _ status: LuaRPCStatus) {
    respondText(sequence, status) { (_: inout LuatobinWriter) in }
  }

  /// Answers with an error.
  func respond(_ call: LuaCall, _ sequence: UInt8, error text: String) {
    var text = text
    text.withUTF8 { bytes in
      respondText(sequence, .error) { (writer: inout LuatobinWriter) in
        writer.string(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes).prefix(4096)))
      }
    }
  }

  private func respondText(
    _ sequence: UInt8, _ status: LuaRPCStatus, _ write: (inout LuatobinWriter) -> Void
  ) {
    guard isOpen else { return }
    do throws(GraphFailure) {
      try collect(
        .response, sequence: { sequence },
        payload: { (writer: inout LuatobinWriter) throws(GraphFailure) in
          writer.buffer.append(status.rawValue)
          writer.beginTopLevelValue()
          write(&writer)
        })
    } catch {
      // Longer than max_frame_bytes: nothing can be said.
      disconnect("it cannot be answered: \(error.reason)")
    }
  }
}
