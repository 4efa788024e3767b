import CMilongaLua
import CMilongaShims
import LuaCodec
import LuaConnection
import MilongaLua
import MilongaRPC

/// A request that is carried out: which Lua function was called for it, and where its values lie on
/// the stack of the coroutine.
enum ServedRequest: Int {
  /// What the client calls.
  case call = 1
  /// The same, and the client wants a reference to the result.
  case createReference
  /// The program's `unserialize` reads the request.
  case unserialize
  /// The program's `serialize` writes the answer.
  case serialize
  /// The program's `serialize` failed; it is tried again with the error.
  case serializeError
  /// The program's `authorize` is asked about the client.
  case authorize

  static let socket = 1
  static let session = 2
  static let namespace = 3
  /// The request: path, then arguments; later the path, then results.
  static let request = 4
}

/// Carries out the requests of one client: reads them onto the stack, finds what they are about,
/// and writes the answers. Its owner gives it the stack of a coroutine, and calls the functions
/// that it asks for.
final class Responder {
  let configuration: ServerConfiguration
  /// Objects kept for the client, in Lua's registry.
  private var references: References<Int32>
  private let main: LuaCall
  /// An answer could not be written, not even an error.
  private var isBroken = false

  init(_ configuration: ServerConfiguration, main: LuaCall) {
    self.configuration = configuration
    self.main = main
    references = References(limit: configuration.limits.references)
  }

  /// Whether an answer could not be written since the last time, not even an error.
  @inline(__always)
  func takeBroken() -> Bool {
    guard isBroken else { return false }
    isBroken = false
    return true
  }

  /// Gives up what was kept for the client.
  func releaseReferences() {
    for reference in references.removeAll() { main.release(reference) }
  }

  // MARK: Requests

  /// Carries out a request. An outcome when a Lua function is to be called: after it has ended,
  /// call ``returned(_:_:_:)`` or ``failed(_:_:_:)``.
  @inline(__always)
  func handle(
    _ call: LuaCall, _ body: UnsafeRawBufferPointer, _ output: inout MessageOutput
  ) -> LuaOutcome? {
    if !configuration.codec.unserialize.isEmpty {
      configuration.codec.unserialize.push(onto: call)
      call.push(body)
      return .protectedCall(arguments: 1, results: 1, state: ServedRequest.unserialize.rawValue)
    }
    do throws(CodecError) {
      try configuration.codec.reads.read(body, limits: configuration.limits.codec, call)
    } catch {
      call.count = ServedRequest.namespace
      return respond(
        call, error: "tango server error: cannot read the request: \(error)", &output)
    }
    return dispatch(call, .call, &output)
  }

  /// Lets the function below its arguments be called; by the program's own `pcall`, if it has one.
  @inline(__always)
  private func invoke(_ call: LuaCall, arguments: Int, _ step: ServedRequest) -> LuaOutcome {
    if configuration.pcall.isEmpty {
      return .protectedCall(arguments: arguments, state: step.rawValue)
    }
    configuration.pcall.push(onto: call)
    call.insert(at: call.count - arguments - 1)
    return .protectedCall(arguments: arguments + 1, state: step.rawValue)
  }

  /// Carries out the request on the stack.
  private func dispatch(
    _ call: LuaCall, _ step: ServedRequest, _ output: inout MessageOutput
  ) -> LuaOutcome? {
    guard lua_type(call.state, Int32(ServedRequest.request)) == LUA_TSTRING,
      let path = call.bytesIfString(at: ServedRequest.request)
    else {
      return respond(
        call, error: "tango server error: the request does not begin with the name of a function",
        &output)
    }
    var cursor = LuaNamespaceCursor(
      call, namespace: ServedRequest.namespace, path: ServedRequest.request, length: path.count)
    let action: PathResolver.Action
    do throws(DispatchError) {
      action = try PathResolver.resolve(
        path, cursor: &cursor, hasNewValue: !call.isNoneOrNil(at: ServedRequest.request + 1),
        access: configuration.access)
    } catch {
      error.message.bytes.withUnsafeBytes { call.push($0) }
      return respondFailure(call, .serialize, &output)
    }
    switch action {
    case .call:
      cursor.dropParent()
      let arguments = call.count - ServedRequest.request - 1
      call.insert(at: ServedRequest.request + 1)
      return invoke(call, arguments: arguments, step)
    case .write:
      cursor.store(valueAt: ServedRequest.request + 1)
      call.count = ServedRequest.request
      return answer(call, step, &output)
    case .read:
      call.insert(at: ServedRequest.request + 1)
      call.count = ServedRequest.request + 1
      return answer(call, step, &output)
    case .callReference:
      return callReference(call, step, &output)
    case .createReference, .releaseReference:
      guard step == .call else {
        return respond(call, error: "tango server error: tango.ref of tango.ref", &output)
      }
      if action == .createReference {
        call.remove(at: ServedRequest.request)
        return dispatch(call, .createReference, &output)
      }
      if let id = call.bytesIfString(at: ServedRequest.request + 1),
        let object = references.remove(id)
      {
        call.release(object)
      }
      call.count = ServedRequest.request
      return respondResults(call, &output)
    }
  }

  /// Answers with the values behind the path, or, when the request was `tango.ref`, with a
  /// reference.
  private func answer(
    _ call: LuaCall, _ step: ServedRequest, _ output: inout MessageOutput
  ) -> LuaOutcome? {
    step == .createReference ? keep(call, &output) : respondResults(call, &output)
  }

  // MARK: References

  /// Keeps the value behind the path for the client, and answers with its id.
  private func keep(_ call: LuaCall, _ output: inout MessageOutput) -> LuaOutcome? {
    call.count = ServedRequest.request + 1
    let type = call.type(at: -1)
    guard type == .table || type == .userdata else {
      return respond(
        call, error: "tango.ref proxy did not create table nor userdata (but \(type.name))",
        &output)
    }
    let reference = call.retainTop()
    do throws(ReferenceError) {
      let id = try references.insert(reference)
      id.withHex { call.push($0) }
      return respondResults(call, &output)
    } catch {
      call.release(reference)
      return respond(call, error: error.description, &output)
    }
  }

  /// The request is `tango.ref_call`, the object's id, the name of a method or field, arguments.
  private func callReference(
    _ call: LuaCall, _ step: ServedRequest, _ output: inout MessageOutput
  ) -> LuaOutcome? {
    let place = (id: ServedRequest.request + 1, name: ServedRequest.request + 2)
    guard call.type(at: place.id) == .string, let id = call.bytesIfString(at: place.id),
      let object = references[id]
    else {
      let id = call.stringIfString(at: place.id) ?? "(none)"
      return respond(call, error: "tango.ref invalid id \(id.prefix(40))", &output)
    }
    guard call.count >= place.name else {
      return respond(call, error: "tango.ref: no method name", &output)
    }
    // The metatable's own fields lead from an object to its class.
    let isMetamethod =
      call.type(at: place.name) == .string
      && call.bytesIfString(at: place.name)!.starts(with: [UInt8(ascii: "_"), UInt8(ascii: "_")])
    // path, id, name, ...  becomes  path, method, object, ...
    call.pushRetained(object)
    if isMetamethod {
      call.pushNil()
    } else {
      call.pushValue(at: place.name)
      guard milonga_gettable(call.state, -2) == LUA_OK else {
        return respondFailure(call, .serialize, &output)
      }
    }
    guard call.type(at: -1) != .nil else {
      return respond(call, error: "tango.ref: the object has no method '\(name(call))'", &output)
    }
    guard call.isCallable(at: -1) else { return accessField(call, step, &output) }
    call.replace(at: place.id)
    call.replace(at: place.name)
    return invoke(call, arguments: call.count - place.id, step)
  }

  /// The name that a request has for a method or field, for messages.
  private func name(_ call: LuaCall) -> String {
    let index = ServedRequest.request + 2
    let text = call.type(at: index) == .table ? nil : call.stringIfString(at: index)
    return String((text ?? call.typeName(at: index)).prefix(40))
  }

  /// Without an argument the field is read, with an argument it is set, as with variables. The
  /// object and the field's value lie behind the request.
  private func accessField(
    _ call: LuaCall, _ step: ServedRequest, _ output: inout MessageOutput
  ) -> LuaOutcome? {
    let argument = ServedRequest.request + 3
    guard argument < call.count - 1, call.type(at: argument) != .nil else {
      guard configuration.access.contains(.read) else {
        return respond(call, error: "tango server error \"\(name(call))\": no read_access", &output)
      }
      call.replace(at: ServedRequest.request + 1)
      call.count = ServedRequest.request + 1
      return answer(call, step, &output)
    }
    guard configuration.access.contains(.write) else {
      return respond(call, error: "tango server error \"\(name(call))\": no write_access", &output)
    }
    call.pop()
    call.pushValue(at: ServedRequest.request + 2)
    call.pushValue(at: argument)
    guard milonga_settable(call.state, -3) == LUA_OK else {
      return respondFailure(call, .serialize, &output)
    }
    call.count = ServedRequest.request
    return answer(call, step, &output)
  }

  // MARK: After calls

  /// The Lua function that was called is over. An outcome when another has to be called.
  @inline(__always)
  func ended(_ call: LuaCall, _ output: inout MessageOutput) -> LuaOutcome? {
    let step = ServedRequest(rawValue: call.step)!
    return call.phase == .returned
      ? returned(call, step, &output) : failed(call, step, &output)
  }

  /// A Lua function returned. An outcome when another has to be called.
  @inline(__always)
  func returned(_ call: LuaCall, _ step: ServedRequest, _ output: inout MessageOutput)
    -> LuaOutcome?
  {
    switch step {
    case .call, .createReference:
      if !configuration.pcall.isEmpty {
        // The program's own returned a status in front of the results.
        let status = ServedRequest.request + 1
        guard call.count >= status, call.boolean(at: status) else {
          call.count = status + 1
          return respondFailure(call, .serialize, &output)
        }
        call.remove(at: status)
      }
      return answer(call, step, &output)
    case .unserialize:
      guard call.type(at: -1) == .table else {
        return respond(call, error: "tango server error: unserialize returned no table", &output)
      }
      call.spreadElements(limit: configuration.limits.arguments + 1)
      guard call.reserve(8) else {
        return respond(call, error: "tango server error: too many arguments", &output)
      }
      return dispatch(call, .call, &output)
    case .serialize, .serializeError:
      guard call.type(at: -1) == .string, let body = call.bytesIfString(at: -1) else {
        answer(error: "tango server error: serialize returned no string", &output)
        return nil
      }
      do throws(SerializationFailure) {
        try output.collect(body: body)
        return nil
      } catch {
        return respond(call, error: "tango server error: \(error)", &output)
      }
    case .authorize: return nil
    }
  }

  /// A Lua function failed; the error value is on top.
  func failed(_ call: LuaCall, _ step: ServedRequest, _ output: inout MessageOutput) -> LuaOutcome?
  {
    switch step {
    case .call, .createReference, .unserialize: return respondFailure(call, .serialize, &output)
    case .serialize: return respondFailure(call, .serializeError, &output)
    case .serializeError:
      isBroken = true
      return nil
    case .authorize: return nil
    }
  }

  // MARK: Answers

  /// Answers true and the values behind the path.
  private func respondResults(_ call: LuaCall, _ output: inout MessageOutput) -> LuaOutcome? {
    if !configuration.codec.serialize.isEmpty {
      call.push(true)
      call.replace(at: ServedRequest.request)
      return serialize(call, .serialize)
    }
    let failure = write(call, status: true, from: ServedRequest.request + 1, &output)
    guard let failure else { return nil }
    let path = call.stringIfString(at: ServedRequest.request) ?? "?"
    return respond(call, error: "tango server error \"\(path)\": \(failure)", &output)
  }

  /// Answers false and the error value on top of the stack.
  private func respondFailure(
    _ call: LuaCall, _ step: ServedRequest, _ output: inout MessageOutput
  ) -> LuaOutcome? {
    if !configuration.codec.serialize.isEmpty {
      call.push(false)
      call.insert(at: ServedRequest.request)
      call.insert(at: ServedRequest.request + 1)
      call.count = ServedRequest.request + 1
      return serialize(call, step)
    }
    guard let failure = write(call, status: false, from: call.count, &output) else { return nil }
    return respond(
      call, error: "tango server error: the error value could not be sent: \(failure)", &output)
  }

  private func respond(
    _ call: LuaCall, error text: String, _ output: inout MessageOutput
  ) -> LuaOutcome? {
    if configuration.codec.serialize.isEmpty {
      answer(error: text, &output)
      return nil
    }
    call.count = ServedRequest.namespace
    call.push(text)
    return respondFailure(call, .serialize, &output)
  }

  private func answer(error text: String, _ output: inout MessageOutput) {
    if !output.collect(error: text, configuration.codec.writes) { isBroken = true }
  }

  /// Hands status and values, which are on the stack in the place of the request, to the program's
  /// own `serialize`.
  private func serialize(_ call: LuaCall, _ step: ServedRequest) -> LuaOutcome {
    call.gatherElements(from: ServedRequest.request)
    configuration.codec.serialize.push(onto: call)
    call.insert(at: -2)
    return .protectedCall(arguments: 1, results: 1, state: step.rawValue)
  }

  /// Collects a message of the status and the stack from `first` on.
  private func write(
    _ call: LuaCall, status: Bool, from first: Int, _ output: inout MessageOutput
  ) -> SerializationFailure? {
    let top = call.count
    var message = StackMessage(
      call: call, status: status, index: first, last: top, limits: configuration.limits)
    do throws(SerializationFailure) {
      try output.collect(configuration.codec.writes, &message)
      return nil
    } catch {
      call.count = top
      return error
    }
  }
}

extension LuaCall {
  /// Whether the value can be called: a function, or something with the metamethod `__call`.
  fileprivate func isCallable(at index: Int) -> Bool {
    if type(at: index) == .function { return true }
    guard lua_getmetatable(state, Int32(index)) != 0 else { return false }
    pushField("__call", of: -1)
    defer { pop(2) }
    return type(at: -1) == .function
  }
}
