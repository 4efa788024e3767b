import Foundation
import MilongaLua
import MilongaTestSupport
import Testing

/// Scripts that do not want to end. Each counts in `progress` how far it has come.
@Suite("Code that lifts its own limits")
struct AdversarialTests {
  static let scripts = Script.all(in: "Adversarial")
  private static let memoryLimit = 32 << 20
  /// AddressSanitizer's malloc makes the collector slower.
  private static let isSanitized = dlsym(nil, "__asan_init") != nil

  @Test func `there are scripts`() { #expect(Self.scripts.count >= 40) }

  /// The script ends by its limit, at the same instruction each time.
  @Test(arguments: scripts)
  func `instructions are exact`(_ script: Script) throws {
    let code = try String(contentsOfFile: script.path, encoding: .utf8)
    var ends: [String] = []
    for _ in 1...2 {
      let lua = try LuaState(memoryLimit: Self.memoryLimit, instructionLimit: 50_000)
      let error = #expect(throws: LuaError.self) { try lua.run(code, name: "=script") }
      #expect(error?.kind == .limit, "\(String(describing: error))")
      let progress = lua[global: "progress"] as Int?
      ends.append("\(progress ?? -1) \(error?.message ?? "")")
      // Once more, and nothing of it runs.
      let again = #expect(throws: LuaError.self) { try lua.run("progress = -7") }
      #expect(again?.kind == .limit)
      #expect((lua[global: "progress"] as Int?) == progress)
      lua.instructionLimit(nil)
      #expect(try lua.evaluate("return 1 + 1", as: Int.self) == 2)
    }
    #expect(ends[0] == ends[1])
  }

  /// The time that the thread has had is looked at: a machine that is busy with other things may
  /// let it wait.
  @Test(arguments: scripts)
  func `time limits hold`(_ script: Script) throws {
    let code = try String(contentsOfFile: script.path, encoding: .utf8)
    let lua = try LuaState(memoryLimit: Self.memoryLimit, timeLimit: 0.2)
    let start = ThreadTime.now()
    let error = #expect(throws: LuaError.self) { try lua.run(code, name: "=script") }
    let seconds = ThreadTime.now() - start
    #expect(error?.kind == .limit, "\(String(describing: error))")
    // What has no limit takes minutes.
    #expect(seconds < (Self.isSanitized ? 3 : 1))
    #expect(lua.memoryInUse <= Self.memoryLimit)
    // The next call has time of its own.
    #expect(try lua.evaluate("return 1 + 1", as: Int.self) == 2)
  }

  @Test(arguments: scripts)
  func `an interruption ends it`(_ script: Script) throws {
    let code = try String(contentsOfFile: script.path, encoding: .utf8)
    let lua = try LuaState(memoryLimit: Self.memoryLimit, interruptible: true)
    let interrupter = lua.interrupter
    lua.register("started") { () -> Void in
      Thread.detachNewThread { interrupter.interrupt() }
    }
    let error = #expect(throws: LuaError.self) { try lua.run("started() " + code) }
    #expect(error?.kind == .interrupted, "\(String(describing: error))")
    #expect(try lua.evaluate("return 1 + 1", as: Int.self) == 2)
  }
}

private enum ThreadTime {
  /// Seconds of the processor that this thread has used.
  static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
