import MilongaRPC
import NIOCore
import RPCRuntime

// The other side's calls.
extension PeerConnection {
  func serve(_ sequence: UInt8, _ payload: UnsafeRawBufferPointer) {
    let last = running.last
    defer {
      elements.removeAll()
      if payload.count > BufferKeeper.largeMessage, running.last > last {
        running.noteSize(payload.count)
        isHolding = true
      }
    }
    do throws(ReadFailure) {
      try readValues(payload)
      if elements.count == 0 { throw .malformed("no name of a function") }
    } catch {
      switch error {
      case .malformed(let reason): return disconnect("a malformed call: \(reason)")
      case .refused(let reason):
        return respond(sequence, error: "rpc: cannot read the call: \(reason)")
      }
    }
    guard state.phase == .serving else {
      return respond(sequence, error: "rpc: the peer shuts down")
    }
    guard case .string(let offset, let count) = elements[0] else {
      return respond(sequence, .noSuchFunction)
    }
    let reserved = elements.withString(offset, count) { LuaRPCFunction($0) }
    if let reserved { return serve(sequence, reserved) }
    switch elements.withString(offset, count, { node(at: $0) }) {
    case nil: respond(sequence, .noSuchFunction)
    case .table, .variable: respond(sequence, .notAFunction)
    case .function(let function):
      let arguments = CallArguments(name: function.path, elements: elements, first: 1)
      perform(sequence, function.body, function.path, arguments)
    }
  }

  /// What a path leads to.
  private func node(at path: UnsafeRawBufferPointer) -> RPCNamespace.Node? {
    var node = namespace.root
    for part in PeerPath(path) {
      guard let next = node.member(part) else { return nil }
      node = next
    }
    return node
  }

  /// Serves a call of a function that every peer has.
  private func serve(_ sequence: UInt8, _ function: LuaRPCFunction) {
    switch function {
    case .evaluate:
      guard case .string(let offset, let count) = elements[1] else {
        return respond(sequence, error: "rpc: eval takes the path of a variable, a string")
      }
      evaluate(sequence, elements.withString(offset, count) { node(at: $0) })
    case .build, .run: respond(sequence, error: "rpc: newexec is not allowed here: this is no Lua")
    case .invoke: invoke(sequence)
    case .call0: respond(sequence, error: "Not implemented")
    }
  }

  private func evaluate(_ sequence: UInt8, _ node: RPCNamespace.Node?) {
    switch node {
    case nil: respond(sequence, [.value(.null)])
    case .variable(let variable):
      do {
        let results = CollectedResults()
        try variable.read(results)
        respond(sequence, results.values)
      } catch {
        respond(sequence, failure: error)
      }
    case .table, .function: refuseResult(sequence, "a table of functions, or a function")
    }
  }

  /// Calls a method: the object and the method's name are the first arguments.
  private func invoke(_ sequence: UInt8) {
    guard let object = elements.object(at: 1) as? any RPCObject,
      case .string(let offset, let count) = elements[2]
    else {
      return respond(
        sequence, error: "rpc: a method needs an object of this side, and the method's name")
    }
    let name = elements.withString(offset, count) { String(decoding: $0, as: UTF8.self) }
    guard let method = elements.withString(offset, count, { object.method($0) }) else {
      return respond(sequence, error: "rpc: the object has no method '\(name.prefix(40))'")
    }
    perform(sequence, method, name, CallArguments(name: name, elements: elements, first: 3))
  }

  // MARK: Functions

  private func perform(
    _ sequence: UInt8, _ body: RPCFunction.Body, _ name: String, _ arguments: CallArguments
  ) {
    let call = ServedCall(sequence: sequence, name: name, begin: settings.observer.begin())
    do {
      switch body {
      case .direct(let function):
        let results = CollectedResults()
        try settings.observer.withSpan(name) {
          try RPCPeer.$current.withValue(peer) { try function(arguments, results) }
        }
        respond(sequence, results.values)
        record(call, succeeded: true)
      case .async(let function):
        let function = try function(arguments)
        run(call, function) { $0.respond(sequence, $1) }
      case .object(let function):
        let function = try function(arguments)
        run(call, function) { $0.respond(sequence, [.object($1)]) }
      }
    } catch {
      respond(sequence, failure: error)
      record(call, succeeded: false)
    }
  }

  /// Runs an async function; others run at the same time.
  private func run<Results: Sendable>(
    _ call: ServedCall, _ function: @escaping @Sendable () async throws -> Results,
    _ finish: @escaping @Sendable (PeerConnection, Results) -> Void
  ) {
    guard running.count < NumberedCalls<PendingCall>.limit else {
      return disconnect(tooManyCalls)
    }
    let peer = peer
    running.begin { number in
      Task(executorPreference: executor) {
        let outcome: Result<Results, any Error>
        do {
          outcome = .success(
            try await self.settings.observer.withSpan(call.name) {
              try await RPCPeer.$current.withValue(peer) { try await function() }
            })
        } catch {
          outcome = .failure(error)
        }
        self.finished(number, call, outcome, finish)
      }
    }
  }

  private func finished<Results: Sendable>(
    _ number: Int, _ call: ServedCall, _ outcome: Result<Results, any Error>,
    _ finish: @escaping @Sendable (PeerConnection, Results) -> Void
  ) {
    guard eventLoop.inEventLoop else {
      return eventLoop.execute { self.finished(number, call, outcome, finish) }
    }
    record(call, succeeded: (try? outcome.get()) != nil)
    if running.end(number) > 0 { tellHolding() }
    guard state.phase != .ended else { return }
    switch outcome {
    case .success(let results): finish(self, results)
    case .failure(let error): respond(call.sequence, failure: error)
    }
    // Functions often end together. Their answers leave together.
    executor.atEndOfTurn { self.proceed() }
  }

  private func record(_ call: ServedCall, succeeded: Bool) {
    settings.observer.record(call.name, since: call.begin, succeeded: succeeded)
  }

  // MARK: Answers

  private func respond(_ sequence: UInt8, _ send: ResultsSender) {
    do {
      let results = CollectedResults()
      try send(results)
      respond(sequence, results.values)
    } catch {
      respond(sequence, failure: error)
    }
  }

  private func respond(_ sequence: UInt8, _ results: [EncodedValue]) {
    do {
      try write(sequence, .results) { try $0.values(results) }
    } catch {
      refuseResult(sequence, "\(error)")
    }
  }

  /// - Parameter error: what the function has thrown, or why its results cannot be sent.
  private func respond(_ sequence: UInt8, failure error: any Error) {
    switch error {
    case let error as RPCRemoteError:
      do {
        try write(sequence, .error) { try $0.values([.value(error.value)]) }
      } catch {
        refuseResult(sequence, "the error value: \(error)")
      }
    case let error as Unsendable: refuseResult(sequence, "\(error)")
    default: respond(sequence, error: "\(error)")
    }
  }

  private func respond(_ sequence: UInt8, error text: String) {
    respond(sequence, .error) { $0.text(text) }
  }

  /// The function has run, but what it gave cannot be sent. The caller is not told what that was;
  /// so it is logged.
  private func refuseResult(_ sequence: UInt8, _ reason: String) {
    settings.logger.warning("\(name): a call cannot be answered: \(reason)")
    respond(sequence, .unserializable) { $0.text(LuaRPCStatus.unserializableText) }
  }

  private func respond(
    _ sequence: UInt8, _ status: LuaRPCStatus, _ write: (PeerOutput) -> Void = { _ in }
  ) {
    do {
      try self.write(sequence, status, write)
    } catch {
      // Longer than limits.frameBytes: nothing can be said.
      disconnect("it cannot be answered: \(error)")
    }
  }

  /// - Throws: when the values cannot be sent; then nothing was written.
  private func write(
    _ sequence: UInt8, _ status: LuaRPCStatus, _ body: (PeerOutput) throws -> Void
  ) throws {
    try lock.withLock {
      guard shared.end == nil else { return }
      try output.message(.response, values: "result", sequence: { sequence }) { output in
        output.status(status)
        try body(output)
      }
    }
  }
}

/// A call that is being served.
private struct ServedCall {
  let sequence: UInt8
  /// Of the function or the method.
  let name: String
  let begin: NIODeadline
}
