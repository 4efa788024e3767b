import CMilongaLua
import CMilongaShims
import MilongaLua
import MilongaScheduler

/// The object of `copas.future`: the results that a thread will have, for the threads that wait for
/// them.
final class CopasFuture: WaitQueueOwner {
  private enum State {
    case pending, failed, succeeded
  }

  private let loop: CopasLoop
  private var state = State.pending
  private var task: TaskID?
  /// Made when a thread has to wait.
  private var waitQueue: WaitQueueID?
  /// How many there are in the table of results.
  private var resultCount = 0

  private init(_ loop: CopasLoop) { self.loop = loop }

  private static let key = LuaRegistryKey()
  private static let resultsKey = LuaRegistryKey()

  /// Pushes the module.
  static func open(_ call: LuaCall, _ loop: CopasLoop) {
    let futures = TableClass<CopasFuture>(call, name: "copas future", key: key) { $0.discard() }
    futures.pushMethods(onto: call)
    let get: LuaBody = { (call) throws(LuaFailure) in
      try futures.check(call, at: 1).get(call)
    }
    call.setFunction("get", get)
    call.setFunction("__call", get)
    call.setFunction("try") { (call) throws(LuaFailure) in
      try futures.check(call, at: 1).attempt(call)
    }
    call.setFunction("cancel") { (call) throws(LuaFailure) in
      try futures.check(call, at: 1).cancel(call)
    }
    call.pop()
    call.push { (call) throws(LuaFailure) in try futures.check(call, at: 1).run(call) }
    pushModule(call, loop, futures, body: LuaStored(popping: call))
  }

  private static func pushModule(
    _ call: LuaCall, _ loop: CopasLoop, _ futures: TableClass<CopasFuture>,
    body: consuming LuaStored
  ) {
    call.pushTable(fields: 5)
    call.push(true)
    call.setField("SUCCESS", of: -2)
    call.push(false)
    call.setField("PENDING", of: -2)
    call.push("error")
    call.setField("ERROR", of: -2)
    call.setFunction("addthread") { (call) throws(LuaFailure) in
      call.pushNil()
      call.insert(at: 1)
      return try start(call, loop, futures, body)
    }
    call.setFunction("addnamedthread") { (call) throws(LuaFailure) in
      try start(call, loop, futures, body)
    }
    call.pushTable(fields: 1)
    call.setFunction("__index") { (call) throws(LuaFailure) in
      throw call.failure("unknown field 'future.\(call.describe(at: 2))'")
    }
    call.setMetatable(of: -2)
  }

  /// A name or nil is at 1, then the function and its arguments: they become a thread, and the
  /// results are what the future will have.
  private static func start(
    _ call: LuaCall, _ loop: CopasLoop, _ futures: TableClass<CopasFuture>,
    _ body: borrowing LuaStored
  ) throws(LuaFailure) -> LuaOutcome {
    var name: String?
    if !call.isNoneOrNil(at: 1) { name = try call.string(at: 1) }
    guard call.count <= mostArguments, call.reserve(8) else {
      throw call.failure("too many arguments")
    }
    if call.count < 2 { call.count = 2 }
    let future = CopasFuture(loop)
    futures.push(future, onto: call)
    call.pushValue(at: -1)
    call.replace(at: 1)
    call.insert(at: 2)
    // The future, and below what the thread gets: its body, the future again, the function, ...
    call.pushValue(at: 2)
    call.insert(at: 1)
    body.push(onto: call)
    call.replace(at: 2)
    future.task = loop.startThread(call, arguments: call.count - 2, name: name)
    call.pop()
    return .results(1)
  }

  // MARK: The thread

  /// The future, the function and its arguments are on the stack.
  private func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    switch call.phase {
    case .entered:
      return .protectedCall(arguments: call.count - 2)
    case .failed: complete(call, .failed)
    default: complete(call, .succeeded)
    }
    return .results(0)
  }

  /// The values above the future, at 1, are the results.
  private func complete(_ call: LuaCall, _ state: State) {
    guard self.state == .pending else { return }
    self.state = state
    resultCount = call.count - 1
    call.pushTable(elements: resultCount)
    call.insert(at: 2)
    for index in stride(from: resultCount, to: 0, by: -1) { call.setElement(index, of: 2) }
    call.setField(Self.resultsKey, of: 1)
    if let waitQueue { loop.admitAll(of: waitQueue) }
  }

  // MARK: Methods

  private func get(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .resumed { try loop.requireStillInside(call, "future.get") }
    guard state == .pending else {
      call.push(state == .succeeded)
      return try pushResults(call)
    }
    try loop.requireInside(call, "future.get")
    if waitQueue == nil { waitQueue = loop.makeWaitQueue(for: self) }
    return loop.wait(in: waitQueue!, until: .max)
  }

  private func attempt(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    switch state {
    case .pending:
      call.push(false)
      return .results(1)
    case .succeeded: call.push(true)
    case .failed: call.push("error")
    }
    return try pushResults(call)
  }

  /// Pushes the results behind the value on top: together they are the outcome.
  private func pushResults(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    guard call.reserve(resultCount + 1) else { throw call.failure("too many results to unpack") }
    call.pushField(Self.resultsKey, of: 1)
    guard call.type(at: -1) == .table else {
      throw call.failure("copas.future: the future's results were overwritten")
    }
    let table = call.count
    for index in 0..<resultCount {
      milonga_rawgeti(call.state, Int32(table), lua_Integer(index + 1))
    }
    call.remove(at: table)
    return .results(resultCount + 1)
  }

  private func cancel(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let isPending = state == .pending
    if isPending {
      call.count = 1
      call.push("cancelled")
      complete(call, .failed)
      if let task { loop.removeThread(task) }
    }
    call.push(isPending)
    return .results(1)
  }

  func left(_ waitQueue: WaitQueueID) {}
  func wasAdmittedInVain(_ task: TaskID, to waitQueue: WaitQueueID) {}

  private func discard() {
    if let waitQueue { loop.removeWaitQueue(waitQueue) }
  }
}
