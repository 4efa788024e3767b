import MilongaRPC
import NIOCore
import RPCRuntime

// What calls are about is done.
extension TangoServerHandler {
  func perform(
    _ node: RPCNamespace.Node, _ action: PathResolver.Action, _ place: Int, makesReference: Bool
  ) {
    switch node {
    case .table:
      respond(error: "tango server error: a table of functions cannot be sent")
    case .function(let function):
      perform(function, place, makesReference: makesReference)
    case .variable(let variable):
      let name = elements.value(at: place).description
      if makesReference { return respond(error: notAnObject) }
      do {
        if action == .write {
          guard let write = variable.write else {
            return respond(error: "tango server error \(name): no write_access")
          }
          try write(CallArguments(name: name, elements: elements, first: place + 1))
          respond { _ in }
        } else {
          try write(true) { try variable.read(self) }
        }
      } catch {
        respond(failure: error)
      }
    }
  }

  func perform(_ function: RPCFunction, _ place: Int, makesReference: Bool) {
    let arguments = CallArguments(name: function.path, elements: elements, first: place + 1)
    perform(function.body, function.path, arguments, makesReference: makesReference)
  }

  private var notAnObject: String {
    "tango.ref proxy did not create table nor userdata (but a value)"
  }

  func perform(
    _ body: RPCFunction.Body, _ path: String, _ arguments: CallArguments, makesReference: Bool
  ) {
    let begin = observer.begin()
    do {
      switch body {
      case .direct(let function):
        if makesReference { return respond(error: notAnObject) }
        if observer.isTracing {
          try observer.withSpan(path) { try write(true) { try function(arguments, self) } }
        } else {
          try write(true) { try function(arguments, self) }
        }
        observer.record(path, since: begin, succeeded: true)
      case .async(let function):
        if makesReference { return respond(error: notAnObject) }
        let function = try function(arguments)
        run(path, begin, function) { $0.respond($1) }
      case .object(let function):
        guard makesReference else {
          return respond(error: "\(path) returns an object: call it by tango.ref")
        }
        let function = try function(arguments)
        run(path, begin, function) { $0.keep($1) }
      }
    } catch {
      respond(failure: error)
      observer.record(path, since: begin, succeeded: false)
    }
  }

  /// Runs an async function; calls behind it wait.
  private func run<Results: Sendable>(
    _ path: String, _ begin: NIODeadline,
    _ function: @escaping @Sendable () async throws -> Results,
    _ finish: @escaping @Sendable (TangoServerHandler, Results) -> Void
  ) {
    state.isRunning = true
    running = Task(executorPreference: executor) {
      let outcome: Result<Results, any Error>
      do {
        outcome = .success(try await self.observer.withSpan(path, function))
      } catch {
        outcome = .failure(error)
      }
      self.finished(path, begin, outcome, finish)
    }
    // There is no peer that could wait for it.
    if state.hasLeft { running?.cancel() }
  }

  private func finished<Results: Sendable>(
    _ path: String, _ begin: NIODeadline, _ outcome: Result<Results, any Error>,
    _ finish: @escaping @Sendable (TangoServerHandler, Results) -> Void
  ) {
    guard eventLoop.inEventLoop else {
      return eventLoop.execute { self.finished(path, begin, outcome, finish) }
    }
    running = nil
    state.isRunning = false
    bytesServed = 0
    switch outcome {
    case .success(let results):
      finish(self, results)
      observer.record(path, since: begin, succeeded: true)
    case .failure(let error):
      respond(failure: error)
      observer.record(path, since: begin, succeeded: false)
    }
    proceed()
  }
}
