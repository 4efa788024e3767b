import CLua
import CShims
import Copas
import IO
import Lua
import LuaCodec
import LuaSocket
import RPC
import Scheduler
import SystemPackage

/// One client of a tango server: takes its requests one after the other, and answers each.
///
/// Runs as a Lua function in the coroutine of the connection, because what the client calls may wait.
/// The trampoline runs it again after each wait and each call; what it needs then is in this object
/// and at fixed places of the stack.
final class TangoSession {
  /// The places of the stack.
  enum Slot {
    static let socket = 1
    static let session = 2
    static let namespace = 3
    /// The request: path, then arguments; later the path, then results.
    static let request = 4
  }

  /// What the Lua function that was called is for.
  enum Step: Int {
    case call = 1
    case createReference
    case unserialize
    case serialize
    /// The program's `serialize` failed; it is tried again with the error.
    case serializeError
  }

  private let configuration: ServerConfiguration
  private let connection: TangoConnection
  private let loop: CopasLoop
  private let socket: UnsafeMutablePointer<SocketObject>
  private let peer: String
  /// Objects kept for the client, in Lua's registry.
  private var references: References<Int32>
  private var isEnding = false
  private var callsSinceFlush = 0
  private var lastFlush: Int64 = 0

  init(_ configuration: ServerConfiguration, _ connection: TangoConnection) {
    self.configuration = configuration
    self.connection = connection
    loop = connection.loop
    socket = connection.socket
    peer =
      (try? socket.pointee.socket.peerAddress()).map(\.description) ?? "unknown peer"
    references = References(limit: configuration.limits.references)
  }

  /// Gives up what was kept for the client.
  func releaseReferences() {
    for reference in references.removeAll() { loop.main.release(reference) }
  }

  // MARK: The loop

  /// Goes on from where the last run ended.
  func run(_ call: LuaCall) -> LuaOutcome {
    let outcome: LuaOutcome? =
      switch call.phase {
      case .entered, .resumed: nil
      case .returned: returned(call, Step(rawValue: call.step)!)
      case .failed: failed(call, Step(rawValue: call.step)!)
      }
    return outcome ?? serve(call)
  }

  /// Handles requests until one has to call a Lua function, or nothing more is there.
  private func serve(_ call: LuaCall) -> LuaOutcome {
    call.count = Slot.namespace
    while true {
      if isEnding { return flush(call) ?? finish(call) }
      switch connection.nextFrame {
      case .frame(let headerBytes, let bodyBytes):
        // A client that does not read its answers has to wait with its questions.
        if connection.writer.buffer.count > mostUnsent, let outcome = flush(call) {
          return outcome
        }
        if let outcome = handle(call, headerBytes, bodyBytes) { return outcome }
        call.count = Slot.namespace
      case .invalid(let error):
        disconnect(error.description)
      case .incomplete(let needed):
        if let outcome = flush(call) { return outcome }
        if isEnding { continue }
        let mayRead = loop.isReady(socket, .read)
        if !mayRead, socket.pointee.buffer.isEmpty { return wait(call, for: .read) }
        if let outcome = loop.turnOver() { return outcome }
        switch connection.receive(needed: needed, mayRead: mayRead) {
        case .done: continue
        case .wait: return wait(call, for: .read)
        case .failed(let failure):
          if !socket.pointee.buffer.isEmpty {
            configuration.log.disconnected(peer, "\(failure.text) in the middle of a message")
          }
          return finish(call)
        }
      }
    }
  }

  /// Sends what was collected. An outcome when that has to wait; nil also when it is in vain.
  private func flush(_ call: LuaCall) -> LuaOutcome? {
    callsSinceFlush = 0
    switch connection.flush() {
    case .done: return nil
    case .wait: return wait(call, for: .write)
    case .failed:
      isEnding = true
      connection.writer.buffer.release()
      return nil
    }
  }

  private func wait(_ call: LuaCall, for direction: Direction) -> LuaOutcome {
    if direction == .write { loop.markUnready(socket, .write) }
    do throws(Errno) {
      return try loop.wait(
        socket, for: direction, until: MonotonicTime.never)
    } catch {
      configuration.log.disconnected(peer, "its socket cannot be watched: \(error)")
      return finish(call)
    }
  }

  private func finish(_ call: LuaCall) -> LuaOutcome {
    releaseReferences()
    connection.close()
    return .results(0)
  }

  /// The stream cannot be trusted any more: says why, and closes.
  private func disconnect(_ reason: String) {
    configuration.log.disconnected(peer, reason)
    collect(error: "tango server error: \(reason)")
    isEnding = true
  }

  /// The answers to earlier requests must not wait for a function that takes its time: they leave
  /// when it waits for something, and every now and then while functions only compute.
  @inline(__always)
  private func prepareToCall() {
    if !connection.writer.buffer.isEmpty { letAnswersLeave() }
  }

  private func letAnswersLeave() {
    loop.turnEndObserver = connection
    callsSinceFlush += 1
    guard callsSinceFlush & 15 == 0 else { return }
    let now = MonotonicTime.now()
    if now - lastFlush > longestDelay { connection.turnEnded() }
    lastFlush = now
  }

  // MARK: Requests

  private func handle(_ call: LuaCall, _ headerBytes: Int, _ bodyBytes: Int) -> LuaOutcome? {
    defer { connection.consume(headerBytes + bodyBytes) }
    let body = connection.body(headerBytes, bodyBytes)
    if let unserialize = configuration.codec.unserialize {
      call.pushRetained(unserialize)
      call.push(body)
      return self.call(arguments: 1, results: 1, .unserialize)
    }
    do throws(CodecError) {
      var sink = LuaStackSink(call)
      try TangoText.readMessage(body, limits: configuration.limits.codec, into: &sink)
    } catch {
      call.count = Slot.namespace
      return respond(call, error: "tango server error: cannot read the request: \(error)")
    }
    return dispatch(call, .call)
  }

  @inline(__always)
  private func call(arguments: Int, results: Int? = nil, _ step: Step) -> LuaOutcome {
    prepareToCall()
    return .protectedCall(arguments: arguments, results: results, state: step.rawValue)
  }

  /// Carries out the request on the stack. An outcome when a Lua function is to be called.
  private func dispatch(_ call: LuaCall, _ step: Step) -> LuaOutcome? {
    guard lua_type(call.state, Int32(Slot.request)) == LUA_TSTRING,
      let path = call.bytesIfString(at: Slot.request)
    else {
      return respond(
        call, error: "tango server error: the request does not begin with the name of a function")
    }
    var cursor = LuaNamespaceCursor(
      call, namespace: Slot.namespace, path: Slot.request, length: path.count)
    let action: Dispatcher.Action
    do throws(DispatchError) {
      action = try Dispatcher.resolve(
        path, cursor: &cursor, hasNewValue: !call.isNoneOrNil(at: Slot.request + 1),
        access: configuration.access)
    } catch {
      error.message.bytes.withUnsafeBytes { call.push($0) }
      return respondFailure(call)
    }
    switch action {
    case .call:
      cursor.dropParent()
      let arguments = call.count - Slot.request - 1
      call.insert(at: Slot.request + 1)
      return self.call(arguments: arguments, step)
    case .write:
      cursor.store(valueAt: Slot.request + 1)
      call.count = Slot.request
      return answer(call, step)
    case .read:
      call.insert(at: Slot.request + 1)
      call.count = Slot.request + 1
      return answer(call, step)
    case .createReference:
      call.remove(at: Slot.request)
      guard step == .call else {
        return respond(call, error: "tango server error: tango.ref of tango.ref")
      }
      return dispatch(call, .createReference)
    case .callReference:
      return callReference(call)
    case .releaseReference:
      if let id = call.bytesIfString(at: Slot.request + 1), let object = references.remove(id) {
        call.release(object)
      }
      call.count = Slot.request
      return respondResults(call)
    }
  }

  /// Answers with the values behind the path, or, when the request was `tango.ref`, with a reference.
  private func answer(_ call: LuaCall, _ step: Step) -> LuaOutcome? {
    step == .createReference ? keep(call) : respondResults(call)
  }

  // MARK: References

  /// Keeps the value behind the path for the client, and answers with its id.
  private func keep(_ call: LuaCall) -> LuaOutcome? {
    call.count = Slot.request + 1
    let type = call.type(at: -1)
    guard type == .table || type == .userdata else {
      return respond(
        call, error: "tango.ref proxy did not create table nor userdata (but \(type.name))")
    }
    let reference = call.retainTop()
    do throws(ReferenceError) {
      let id = try references.insert(reference)
      id.withHex { call.push($0) }
      return respondResults(call)
    } catch {
      call.release(reference)
      return respond(call, error: error.description)
    }
  }

  /// The request is `tango.ref_call`, the object's id, the method's name, arguments.
  private func callReference(_ call: LuaCall) -> LuaOutcome? {
    guard call.type(at: Slot.request + 1) == .string,
      let id = call.bytesIfString(at: Slot.request + 1), let object = references[id]
    else {
      let id = call.stringIfString(at: Slot.request + 1) ?? "(none)"
      return respond(call, error: "tango.ref invalid id \(id.prefix(40))")
    }
    guard call.count >= Slot.request + 2 else {
      return respond(call, error: "tango.ref: no method name")
    }
    // path, id, name, ...  becomes  path, method, object, ...
    call.pushRetained(object)
    call.pushValue(at: Slot.request + 2)
    guard milonga_gettable(call.state, -2) == LUA_OK else { return respondFailure(call) }
    guard call.type(at: -1) != .nil else {
      let name = call.stringIfString(at: Slot.request + 2) ?? call.typeName(at: Slot.request + 2)
      return respond(call, error: "tango.ref: the object has no method '\(name.prefix(40))'")
    }
    call.replace(at: Slot.request + 1)
    call.replace(at: Slot.request + 2)
    return self.call(arguments: call.count - Slot.request - 1, .call)
  }

  // MARK: After calls

  /// A Lua function returned. An outcome when another has to be called.
  @inline(__always)
  private func returned(_ call: LuaCall, _ step: Step) -> LuaOutcome? {
    switch step {
    case .call: return respondResults(call)
    case .createReference: return keep(call)
    case .unserialize:
      guard call.type(at: -1) == .table else {
        return respond(call, error: "tango server error: unserialize returned no table")
      }
      call.spreadElements(limit: configuration.limits.arguments + 1)
      guard call.reserve(8) else {
        return respond(call, error: "tango server error: too many arguments")
      }
      return dispatch(call, .call)
    case .serialize, .serializeError:
      guard call.type(at: -1) == .string, let body = call.bytesIfString(at: -1) else {
        collect(error: "tango server error: serialize returned no string")
        return nil
      }
      do throws(SerializationFailure) {
        try connection.collect(body: body)
        return nil
      } catch {
        return respond(call, error: "tango server error: \(error)")
      }
    }
  }

  /// A Lua function failed; the error value is on top.
  private func failed(_ call: LuaCall, _ step: Step) -> LuaOutcome? {
    switch step {
    case .call, .createReference, .unserialize: return respondFailure(call)
    case .serialize: return respondFailure(call, .serializeError)
    case .serializeError:
      disconnect("its answer could not be serialized")
      return nil
    }
  }

  // MARK: Answers

  /// Answers true and the values behind the path.
  private func respondResults(_ call: LuaCall) -> LuaOutcome? {
    if configuration.codec.serialize != nil {
      call.push(true)
      call.replace(at: Slot.request)
      return serialize(call, .serialize)
    }
    let top = call.count
    let failure = write(call, status: true, from: Slot.request + 1, to: top)
    guard let failure else { return nil }
    let path = call.stringIfString(at: Slot.request) ?? "?"
    return respond(call, error: "tango server error \"\(path)\": \(failure)")
  }

  /// Answers false and the error value on top of the stack.
  private func respondFailure(_ call: LuaCall, _ step: Step = .serialize) -> LuaOutcome? {
    if configuration.codec.serialize != nil {
      call.push(false)
      call.insert(at: Slot.request)
      call.insert(at: Slot.request + 1)
      call.count = Slot.request + 1
      return serialize(call, step)
    }
    let top = call.count
    guard let failure = write(call, status: false, from: top, to: top) else { return nil }
    return respond(
      call, error: "tango server error: the error value could not be sent: \(failure)")
  }

  private func respond(_ call: LuaCall, error text: String) -> LuaOutcome? {
    guard configuration.codec.serialize != nil else {
      collect(error: text)
      return nil
    }
    call.count = Slot.namespace
    call.push(text)
    return respondFailure(call)
  }

  /// Hands status and values, which are on the stack in the place of the request, to the program's
  /// own `serialize`.
  private func serialize(_ call: LuaCall, _ step: Step) -> LuaOutcome {
    call.gatherElements(from: Slot.request)
    call.pushRetained(configuration.codec.serialize!)
    call.insert(at: -2)
    return self.call(arguments: 1, results: 1, step)
  }

  private func collect(error text: String) {
    try? connection.collect { (writer: inout TangoTextWriter) throws(SerializationFailure) in
      writer.beginTable(elements: 0, entries: 0)
      writer.beginElement(1)
      writer.boolean(false)
      writer.beginElement(2)
      var text = text
      text.withUTF8 { writer.string(UnsafeRawBufferPointer($0)) }
      writer.endTable()
    }
  }

  /// Collects a message of the status and a range of the stack.
  private func write(
    _ call: LuaCall, status: Bool, from first: Int, to last: Int
  ) -> SerializationFailure? {
    let message = MessageWriter(
      call, configuration.limits, start: connection.writer.buffer.count)
    do throws(SerializationFailure) {
      try connection.collect { (writer: inout TangoTextWriter) throws(SerializationFailure) in
        writer.beginTable(elements: 0, entries: 0)
        writer.beginElement(1)
        writer.boolean(status)
        var index = first
        while index <= last {
          try message.element(index - first + 2, valueAt: index, to: &writer)
          index += 1
        }
        writer.endTable()
      }
      return nil
    } catch {
      call.count = last
      return error
    }
  }
}

/// Bytes of answers that may wait for a client to read them before its next request is taken.
private let mostUnsent = 64 * 1024
/// Nanoseconds that an answer may wait for those to the requests behind it.
private let longestDelay: Int64 = 300_000
