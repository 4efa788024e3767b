import CMilongaLua
import MilongaLua
import MilongaScheduler

/// The object of `copas.queue`: items that some threads push and others pop, both in order. Threads
/// that find it empty wait in the order in which they came.
final class CopasQueue: WaitQueueOwner, ThreadObserver {
  private let loop: CopasLoop
  private var items = QueuedItems()
  /// Items that no thread was admitted to yet.
  private var available = 0
  /// Threads that wait for an item; made when one has to.
  private var poppers: WaitQueueID?
  /// Threads in `finish`; made when one has to wait.
  private var finishers: WaitQueueID?
  private var isStopping = false
  private var isDestroyed = false
  /// The workers that live, numbered in the order in which they were added.
  private var workers: [TaskID: Int] = [:]
  private var workerCount = 0
  /// As the observer of its workers; 0 before the first.
  private var observerNumber: Int32 = 0

  private init(_ loop: CopasLoop) { self.loop = loop }

  /// Pushes the module.
  static func open(_ call: LuaCall, _ loop: CopasLoop) {
    let queues = TableClass<CopasQueue>(call, name: "copas queue", key: key) { $0.discard() }
    var queueCount = 0
    queues.pushMethods(onto: call)
    call.setFunction("new") { (call) throws(LuaFailure) in
      var hasName = false
      if !call.isNoneOrNil(at: 1) {
        try call.check(1, is: .table)
        try call.pushOption("name", of: 1)
        hasName = call.boolean(at: -1)
      }
      queues.push(CopasQueue(loop), onto: call, fields: 2)
      if hasName {
        call.pushValue(at: -2)
      } else {
        queueCount += 1
        call.push("copas_queue_\(queueCount)")
      }
      call.setField("name", of: -2)
      return .results(1)
    }
    call.setFunction("push") { (call) throws(LuaFailure) in
      try queues.check(call, at: 1).push(call)
    }
    call.setFunction("pop") { (call) throws(LuaFailure) in
      try queues.check(call, at: 1).pop(call)
    }
    call.setFunction("get_size") { (call) throws(LuaFailure) in
      let queue = try queues.check(call, at: 1)
      if queue.isDestroyed { return call.refuse("destroyed") }
      call.push(queue.items.count)
      return .results(1)
    }
    call.setFunction("stop") { (call) throws(LuaFailure) in
      let queue = try queues.check(call, at: 1)
      if queue.isDestroyed { return call.refuse("destroyed") }
      queue.stop(call)
      call.push(true)
      return .results(1)
    }
    call.setFunction("finish") { (call) throws(LuaFailure) in
      try queues.check(call, at: 1).finish(call)
    }
    call.setFunction("destroy") { (call) throws(LuaFailure) in
      let queue = try queues.check(call, at: 1)
      if queue.isDestroyed { return call.refuse("destroyed") }
      queue.destroy(call)
      call.push(true)
      return .results(1)
    }
    addWorkerFunctions(call, queues)
  }

  private static func addWorkerFunctions(_ call: LuaCall, _ queues: TableClass<CopasQueue>) {
    call.push { (call) throws(LuaFailure) in
      try queues.check(call, at: 1).work(call)
    }
    let body = LuaStored(popping: call)
    call.setFunction("add_worker") { (call) throws(LuaFailure) in
      try queues.check(call, at: 1).addWorker(call, body)
    }
    call.setFunction("get_workers") { (call) throws(LuaFailure) in
      try queues.check(call, at: 1).getWorkers(call)
    }
  }

  private static let key = LuaRegistryKey()

  // MARK: Items

  private func push(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if isDestroyed { return call.refuse("destroyed") }
    if isStopping { return call.refuse("stopping") }
    call.count = 2
    try items.append(call)
    if poppers.flatMap({ loop.scheduler.admitFirst(of: $0) }) == nil { available += 1 }
    call.push(true)
    return .results(1)
  }

  private func pop(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if !call.beginsAnew {
      try loop.requireStillInside(call, "queue.pop")
      if loop.hasTimedOut { return call.refuse("timeout") }
      if isDestroyed { return call.refuse("destroyed") }
      try takeFirst(call)
      return .results(1)
    }
    if isDestroyed { return call.refuse("destroyed") }
    if available > 0 {
      if let outcome = loop.giveWay(call, timeoutAt: 2) { return outcome }
      available -= 1
      try takeFirst(call)
      return .results(1)
    }
    guard let deadline = try loop.deadline(call, timeoutAt: 2, default: 10) else {
      return call.refuse("timeout")
    }
    try loop.requireInside(call, "queue.pop")
    return waitForItem(until: deadline)
  }

  private func waitForItem(until deadline: Int64) -> LuaOutcome {
    if poppers == nil { poppers = loop.makeWaitQueue(for: self) }
    return loop.wait(in: poppers!, until: deadline)
  }

  /// Pushes the first item, to which the running thread was admitted. The last item of a queue that
  /// stops is its end.
  private func takeFirst(_ call: LuaCall) throws(LuaFailure) {
    try items.takeFirst(call)
    if items.count == 0, isStopping { destroy(call) }
  }

  func left(_ waitQueue: WaitQueueID) {}

  func wasAdmittedInVain(_ task: TaskID, to waitQueue: WaitQueueID) {
    guard waitQueue == poppers, !isDestroyed else { return }
    if loop.scheduler.admitFirst(of: waitQueue) == nil { available += 1 }
  }

  // MARK: The end

  private func stop(_ call: LuaCall) {
    isStopping = true
    if items.count == 0 { destroy(call) }
  }

  private func destroy(_ call: LuaCall) {
    isDestroyed = true
    items.removeAll(call)
    if let poppers { loop.admitAll(of: poppers) }
    wakeFinishers()
  }

  private func wakeFinishers() {
    if let finishers { loop.admitAll(of: finishers) }
  }

  /// Where `finish` keeps its deadline while it waits; before that its arguments are there.
  private static let deadlineSlot = 4

  private func finish(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .entered {
      if isDestroyed { return call.refuse("destroyed") }
      call.count = Self.deadlineSlot - 1
      stop(call)
      if isFinished { return finished(call) }
      guard let deadline = try loop.deadline(call, timeoutAt: 2, default: 10) else {
        return giveUp(call)
      }
      try loop.requireInside(call, "queue.finish")
      call.push(Int(deadline))
    } else {
      try loop.requireStillInside(call, "queue.finish")
      if isFinished { return finished(call) }
      if loop.hasTimedOut { return giveUp(call) }
    }
    if finishers == nil { finishers = loop.makeWaitQueue(for: self) }
    return loop.wait(in: finishers!, until: Int64(try call.integer(at: Self.deadlineSlot)))
  }

  /// The last item was taken, and the workers have done theirs.
  private var isFinished: Bool { isDestroyed && workers.isEmpty }

  private func finished(_ call: LuaCall) -> LuaOutcome {
    call.push(true)
    return .results(1)
  }

  private func giveUp(_ call: LuaCall) -> LuaOutcome {
    if !isDestroyed, !call.boolean(at: 3) { destroy(call) }
    return call.refuse("timeout")
  }

  private func discard() {
    if let poppers { loop.removeWaitQueue(poppers) }
    if let finishers { loop.removeWaitQueue(finishers) }
    if observerNumber != 0 { loop.removeObserver(observerNumber) }
  }

  // MARK: Workers

  private func addWorker(_ call: LuaCall, _ body: borrowing LuaStored) throws(LuaFailure)
    -> LuaOutcome
  {
    if isDestroyed { return call.refuse("destroyed") }
    guard call.type(at: 2) == .function else {
      throw call.failure("expected worker to be a function")
    }
    workerCount += 1
    call.count = 2
    call.pushField("name", of: 1)
    let name = "\(call.describe(at: 3)):worker_\(workerCount)"
    call.count = 2
    body.push(onto: call)
    call.pushValue(at: 1)
    call.pushValue(at: 2)
    let task = loop.startThread(call, arguments: 2, name: name)
    if observerNumber == 0 { observerNumber = loop.addObserver(self) }
    loop.tasks[task].endObserver = observerNumber
    workers[task] = workerCount
    return .results(1)
  }

  /// A worker's thread: this queue and the function are at 1 and 2.
  private func work(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .resumed {
      try loop.requireStillInside(call, "queue.add_worker")
    } else if !isDestroyed, available > 0, let outcome = loop.giveWay(call, timeoutAt: 0) {
      return outcome
    }
    if call.phase != .resumed || call.beginsAnew, !isDestroyed {
      if available == 0 {
        return waitForItem(until: .max)
      }
      available -= 1
    }
    if isDestroyed { return .results(0) }
    call.count = 2
    call.pushValue(at: 2)
    try takeFirst(call)
    return .call(arguments: 1, results: 0)
  }

  /// A worker has ended, in whatever way.
  func ended(_ task: TaskID) {
    workers[task] = nil
    if isFinished { wakeFinishers() }
  }

  private func getWorkers(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if isDestroyed { return call.refuse("destroyed") }
    call.pushTable(elements: workers.count)
    for (index, worker) in workers.sorted(by: { $0.value < $1.value }).enumerated() {
      call.pushRetained(loop.tasks[worker.key].reference)
      call.setElement(index + 1, of: -2)
    }
    return .results(1)
  }
}
