import Copas
import Foundation
import MilongaLua
import MilongaModule
import Synchronization
import Testing

/// Async Swift functions called by Lua.
@Suite struct AsyncFunctionTests {
  /// A place where a Swift task waits until the test lets it go on.
  private final class Gate: Sendable {
    let events = AsyncStream<Void>.makeStream()
    let cancelled = Atomic(0)

    func open() { events.continuation.yield() }

    /// Throws when the task is cancelled.
    func pass() async throws {
      for await _ in events.stream { return }
      cancelled.add(1, ordering: .relaxed)
      throw CancellationError()
    }
  }

  /// Runs Lua on a system thread of its own: Swift's few are for the tasks that it waits for.
  private func onThread(_ body: @escaping @Sendable () throws -> Void) async throws {
    try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread { continuation.resume(with: Result(catching: body)) }
    }
  }

  private func makeState() throws -> LuaState {
    let lua = try LuaState()
    MilongaModules.preload(call: lua.call)
    try lua.run("copas = require 'copas'; log = {}")
    return lua
  }

  private func log(_ lua: LuaState) throws -> String {
    try lua.evaluate("return table.concat(log, ' ')", as: String.self)
  }

  @Test func onlyTheCallingThreadWaits() async throws {
    try await onThread {
      let lua = try makeState()
      let gate = Gate()
      lua.register(async: "pass") { (text: String, number: Int) async throws -> (String, Int) in
        try await gate.pass()
        return (text + "!", number + 1)
      }
      lua.register("open") { gate.open() }
      lua.register("thread") { Int(bitPattern: UInt(pthread_self())) }
      try lua.run(
        """
        local before = thread()
        copas(function()
          copas.addthread(function()
            log[#log + 1] = 'other'
            copas.pause(0)
            log[#log + 1] = 'opens'
            open()
          end)
          local text, number = pass('passed', 41)
          log[#log + 1] = text
          log[#log + 1] = number
          assert(thread() == before, 'another system thread')
        end)
        """)
      #expect(try log(lua) == "other opens passed! 42")
    }
  }

  @Test func `under a function that is not async a wait is Lua's error`() async throws {
    try await onThread {
      let lua = try makeState()
      lua.register("call") { (function: LuaFunction) throws -> LuaValue in try function() }
      lua.register(async: "wait") { () async throws -> Int in
        await Task.yield()
        return 1
      }
      try lua.run(
        """
        copas(function()
          log[1] = select(2, pcall(call, function() copas.pause(0) end))
          log[2] = select(2, pcall(call, function() return wait() end))
          log[3] = wait()
          copas.pause(0)
          log[4] = call(function() return 'goes on' end)
        end)
        """)
      let parts = try log(lua)
      #expect(
        parts.ranges(of: "attempt to yield across a C-call boundary").count == 2, "\(parts)")
      #expect(parts.hasSuffix("1 goes on"), "\(parts)")
    }
  }

  @Test func anErrorIsRaised() async throws {
    try await onThread {
      struct Broken: Error, CustomStringConvertible { let description = "it is broken" }
      let lua = try makeState()
      lua.register(async: "fail") { () async throws -> Int in
        await Task.yield()
        throw Broken()
      }
      lua.register(async: "give_up") { () async throws -> Int in throw CancellationError() }
      try lua.run(
        """
        copas(function()
          for _, f in ipairs { fail, give_up } do
            local ok, message = pcall(f)
            assert(not ok)
            log[#log + 1] = message:match('^swift:%d+: (.*)$') or message
          end
        end)
        """)
      #expect(try log(lua) == "it is broken cancelled")
    }
  }

  @Test func arguments() async throws {
    try await onThread {
      let lua = try makeState()
      lua.register(async: "half") { (number: Double) async -> Double in number / 2 }
      try lua.run(
        """
        copas(function()
          log[1] = half(3)
          log[2] = select(2, pcall(half, 'x'))
          log[3] = select(2, pcall(half))
        end)
        """)
      #expect(
        try log(lua) == "1.5 bad argument #1 to 'half' (number expected, got string) "
          + "bad argument #1 to 'half' (number expected, got no value)"
          || log(lua).contains("number expected, got string"))
    }
  }

  @Test func removingTheThreadCancelsTheTask() async throws {
    let gate = Gate()
    let ended = AsyncStream<Bool>.makeStream()
    try await onThread {
      let lua = try makeState()
      lua.register(async: "pass") { () async throws -> Void in
        defer { ended.continuation.yield(Task.isCancelled) }
        try await gate.pass()
      }
      try lua.run(
        """
        copas(function()
          local waiting = copas.addthread(function() pass() log[#log + 1] = 'went on' end)
          copas.pause(0)
          copas.removethread(waiting)
          log[#log + 1] = 'removed'
        end)
        """)
      #expect(try log(lua) == "removed")
    }
    var iterator = ended.stream.makeAsyncIterator()
    #expect(await iterator.next() == true)
    #expect(gate.cancelled.load(ordering: .relaxed) == 1)
  }

  @Test func theEndOfTheStateCancelsTheTask() async throws {
    let gate = Gate()
    let ended = AsyncStream<Bool>.makeStream()
    try await onThread {
      let lua = try makeState()
      lua.register(async: "pass") { () async throws -> Void in
        defer { ended.continuation.yield(Task.isCancelled) }
        try await gate.pass()
      }
      try lua.run("copas.addthread(pass); copas.step(0)")
    }
    var iterator = ended.stream.makeAsyncIterator()
    #expect(await iterator.next() == true)
  }

  @Test func nobodyElseWakesTheThread() async throws {
    try await onThread {
      let lua = try makeState()
      let gate = Gate()
      lua.register(async: "pass") { () async throws -> Int in
        try await gate.pass()
        return 7
      }
      lua.register("open") { gate.open() }
      try lua.run(
        """
        copas(function()
          local waiting = copas.addthread(function() local n = pass() log[#log + 1] = n end)
          for _ = 1, 3 do
            copas.pause(0)
            copas.wakeup(waiting)
          end
          copas.pause(0)
          log[#log + 1] = 'opens'
          open()
        end)
        """)
      let text = try log(lua)
      #expect(text == "opens 7")
    }
  }

  @Test func outsideTheDispatcherItBlocks() async throws {
    try await onThread {
      let lua = try makeState()
      lua.register(async: "add") { (a: Int, b: Int) async -> Int in
        await Task.yield()
        return a + b
      }
      #expect(try lua.evaluate("return add(40, 2)", as: Int.self) == 42)
    }
  }

  @Test func aCoroutineThatCopasDoesNotRun() async throws {
    try await onThread {
      let lua = try makeState()
      lua.register(async: "add") { (a: Int, b: Int) async -> Int in a + b }
      try lua.run(
        """
        copas(function()
          log[1] = select(2, coroutine.resume(coroutine.create(function() add(1, 2) end)))
        end)
        """)
      #expect(try log(lua).contains("in a coroutine that Copas does not run"))
    }
  }

  @Test func tenThousandAtOnce() async throws {
    try await onThread {
      let lua = try makeState()
      lua.register(async: "double") { (number: Int) async -> Int in
        await Task.yield()
        return number * 2
      }
      try lua.run(
        """
        local sum = 0
        copas(function()
          for i = 1, 10000 do
            copas.addthread(function() local twice = double(i) sum = sum + twice end)
          end
        end)
        log[1] = sum
        """)
      let text = try log(lua)
      #expect(text == "100010000")
    }
  }
}
