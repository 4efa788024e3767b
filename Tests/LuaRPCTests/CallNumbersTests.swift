import MilongaScheduler
import Testing

@testable import LuaRPC

@Suite("numbers of calls")
struct CallNumbersTests {
  private let tasks = (1...5).map { TaskID(bits: $0) }
  private var numbers = CallNumbers()

  @Test mutating func `a call that begins does not overtake those that wait`() {
    #expect(numbers.hasFree(used: 1, limit: 2))
    #expect(!numbers.hasFree(used: 2, limit: 2))
    numbers.wait(tasks[0])
    #expect(!numbers.hasFree(used: 0, limit: 2))
  }

  @Test mutating func `numbers are granted in the order of waiting, as many as are free`() {
    for task in tasks { numbers.wait(task) }
    numbers.wait(tasks[0])
    var woken: [TaskID] = []
    numbers.grant(used: 1, limit: 3) {
      woken.append($0)
      return true
    }
    #expect(woken == Array(tasks[..<2]))
    // Both are kept for those who were woken.
    numbers.grant(used: 1, limit: 3) {
      woken.append($0)
      return true
    }
    #expect(woken.count == 2)
    #expect(numbers.take(tasks[1]) == true)
    #expect(numbers.take(tasks[1]) == false)
    #expect(numbers.take(tasks[2]) == false)
  }

  @Test mutating func `a coroutine that cannot be woken gets none`() {
    for task in tasks[..<2] { numbers.wait(task) }
    let gone = tasks[0]
    numbers.grant(used: 0, limit: 1) { $0 != gone }
    #expect(numbers.take(tasks[0]) == false)
    #expect(numbers.take(tasks[1]) == true)
  }

  @Test mutating func `a removed coroutine gives its number back`() {
    for task in tasks[..<2] { numbers.wait(task) }
    numbers.grant(used: 0, limit: 1) { _ in true }
    #expect(numbers.removed(tasks[1]) == false)
    #expect(numbers.removed(tasks[0]) == true)
    #expect(numbers.hasFree(used: 0, limit: 1))
  }

  @Test mutating func `the end wakes all that wait`() {
    for task in tasks { numbers.wait(task) }
    numbers.grant(used: 0, limit: 2) { _ in true }
    #expect(numbers.end() == Array(tasks[2...]))
    #expect(numbers.end() == [])
    #expect(numbers.hasFree(used: 0, limit: 1))
  }
}

@Suite("suspended calls")
struct SuspendedCallsTests {
  private var calls = SuspendedCalls()

  @Test mutating func `a call is found by its worker, once`() {
    let worker = TaskID(bits: 1)
    #expect(calls.add(worker, sequence: 7, bytes: 0) == true)
    #expect(calls.largeBytes == 0)
    #expect(calls.remove(worker) == (7, false))
    #expect(calls.remove(worker) == (nil, false))
  }

  @Test mutating func `large calls count until they are over, also without a caller`() {
    let workers = (1...3).map { TaskID(bits: $0) }
    for worker in workers { #expect(calls.add(worker, sequence: 1, bytes: 100) == true) }
    #expect(calls.largeBytes == 300)
    #expect(Set(calls.leave()) == Set(workers))
    #expect(calls.largeBytes == 300)
    calls.forget(workers[0])
    #expect(calls.largeBytes == 200)
    #expect(calls.remove(workers[1]) == (nil, true))
    #expect(calls.largeBytes == 100)
  }

  @Test mutating func `there is a limit`() {
    for number in 0..<SuspendedCalls.limit {
      #expect(calls.add(TaskID(bits: UInt64(number)), sequence: 0, bytes: 0) == true)
    }
    #expect(calls.add(TaskID(bits: 9999), sequence: 0, bytes: 10) == false)
    #expect(calls.largeBytes == 0)
  }
}

@Suite("steps of rpc")
struct StepTests {
  @Test func `each step has a number of its own`() {
    let steps = [RPCPeer.Step.wait, .number, .connect, .open] + (0...50).map { .served(base: $0) }
    for step in steps { #expect(RPCPeer.Step(state: step.state) == step) }
    #expect(Set(steps.map(\.state)).count == steps.count)
  }
}
