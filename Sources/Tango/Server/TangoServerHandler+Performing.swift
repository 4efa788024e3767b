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
          if state.awaitAll() { return }
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

  /// Runs an async function, beside those that run already.
  private func run<Results: Sendable>(
    _ path: String, _ begin: NIODeadline,
    _ function: @escaping @Sendable () async throws -> Results,
    _ finish: @escaping @Sendable (TangoServerHandler, Results) -> Void
  ) {
    let place = state.order.begin()
    running.begin { number in
      let call = StartedCall(number: number, place: place, path: path, begin: begin)
      return Task(executorPreference: executor) {
        let outcome: Result<Results, any Error>
        do {
          outcome = .success(try await self.observer.withSpan(path, function))
        } catch {
          outcome = .failure(error)
        }
        self.finished(call, outcome, finish)
      }
    }
    // There is no peer that could wait for it.
    if state.hasLeft { running.cancelLast() }
  }

  private func finished<Results: Sendable>(
    _ call: StartedCall, _ outcome: Result<Results, any Error>,
    _ finish: @escaping @Sendable (TangoServerHandler, Results) -> Void
  ) {
    guard eventLoop.inEventLoop else {
      return eventLoop.execute { self.finished(call, outcome, finish) }
    }
    if running.end(call.number) > 0 { isHolding = true }
    answer(call.place) {
      switch outcome {
      case .success(let results): finish(self, results)
      case .failure(let error): respond(failure: error)
      }
    }
    let succeeded = if case .success = outcome { true } else { false }
    observer.record(call.path, since: call.begin, succeeded: succeeded)
    // Functions often end together. Their answers leave together.
    executor.atEndOfTurn { self.proceed() }
  }
}

/// A call whose function runs as a task.
private struct StartedCall: Sendable {
  /// Its number among the calls that run.
  let number: Int
  /// Its number among the calls whose answers are to leave.
  let place: Int
  let path: String
  let begin: NIODeadline
}
