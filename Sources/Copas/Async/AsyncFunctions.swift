import Dispatch
import MilongaLua
import Synchronization

extension LuaState {
  /// Makes the async Swift function `body` a global Lua function. Arguments and results are
  /// converted as those of a function that is not async; what it throws is raised in Lua, with
  /// `cancelled` as the message of a `CancellationError`.
  ///
  /// ```swift
  /// lua.register(async: "fetch") { (id: Int) async throws -> String in
  ///   try await database.name(of: id)
  /// }
  /// ```
  ///
  /// Called in a Copas thread, it lets that thread wait and all others run; the thread goes on in
  /// the dispatcher's own (system) thread. `body` runs as a Swift task, which is cancelled when the
  /// Copas thread is removed, the loop gives up its threads, or the state goes. Called outside the
  /// dispatcher, it blocks the system thread until it has finished; don't do that in one of Swift's
  /// own.
  public func register<
    each Argument: LuaConvertible & Sendable, each Result: LuaConvertible & Sendable
  >(
    async name: String,
    _ body: @escaping @Sendable (repeat each Argument) async throws -> (repeat each Result)
  ) {
    call.push(async: body)
    call.popGlobal(name)
  }
}

extension LuaCall {
  /// Pushes a Lua function that runs the async Swift function `body`: see
  /// ``MilongaLua/LuaState/register(async:_:)``.
  public func push<
    each Argument: LuaConvertible & Sendable, each Result: LuaConvertible & Sendable
  >(
    async body: @escaping @Sendable (repeat each Argument) async throws -> (repeat each Result)
  ) {
    push { (call) throws(LuaFailure) in
      guard call.phase == .entered else { return try finish(call) }
      let arguments: (repeat each Argument) = try call.arguments()
      return try start(call) {
        do {
          let results = try await body(repeat each arguments)
          return { (call) throws(LuaFailure) in try call.push(results: repeat each results) }
        } catch {
          let message = error is CancellationError ? "cancelled" : "\(error)"
          return { (call) throws(LuaFailure) in throw call.failure(message) }
        }
      }
    }
  }
}

private func start(
  _ call: LuaCall, _ function: @escaping @Sendable () async -> AsyncAnswer
) throws(LuaFailure) -> LuaOutcome {
  if let loop = CopasLoop.existing(call), loop.current != nil {
    guard loop.isInside(call) else {
      throw call.failure(
        "an async function was called in a coroutine that Copas does not run; call it from the Copas "
          + "thread itself, or make the coroutine with copas.addthread")
    }
    return loop.offThread.asyncCalls(of: loop).start(loop, function)
  }
  return .results(try block(call, function)(call))
}

/// The Copas thread was woken; if its answer is not there, it sleeps on.
private func finish(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
  let loop = try CopasLoop.of(call)
  try loop.requireOwnResumption(call, "async")
  guard let current = loop.current,
    let answer = loop.offThread.asyncCalls(of: loop).takeAnswer(of: current)
  else {
    return loop.sleep(until: .max)
  }
  return .results(try answer(call))
}

/// Runs the function while the system thread waits for it. Ctrl-C ends the wait, and cancels the
/// function.
private func block(
  _ call: LuaCall, _ function: @escaping @Sendable () async -> AsyncAnswer
) throws(LuaFailure) -> AsyncAnswer {
  final class Box: Sendable {
    let answer = Mutex<AsyncAnswer?>(nil)
    let isThere = DispatchSemaphore(value: 0)
  }
  let box = Box()
  let task = Task {
    let answer = await function()
    box.answer.withLock { $0 = answer }
    box.isThere.signal()
  }
  // No signal ends the wait itself.
  while box.isThere.wait(timeout: .now() + .milliseconds(50)) == .timedOut {
    if call.takeInterruption() {
      task.cancel()
      throw call.failure("interrupted!")
    }
  }
  return box.answer.withLock { $0! }
}
