import Glibc
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

/// What a process object holds.
struct ProcessObject: HandleHolder {
  /// Of the pidfd.
  var handle: Handle
  var process: Process

  init(_ handle: Handle, _ process: Process) {
    self.handle = handle
    self.process = process
  }
}

extension XPIOLibrary {
  func pushProcess(_ process: Process, _ call: LuaCall) {
    processes.push(ProcessObject(handle(process.descriptor), process), onto: call)
  }

  func completeProcesses(_ call: LuaCall) {
    processes.complete(
      call,
      methods: { call in
        call.setFunction("try_wait") { [self] (call) throws(LuaFailure) in
          try wait(call, blocks: false)
        }
        call.setFunction("wait") { [self] (call) throws(LuaFailure) in
          try wait(call, blocks: true)
        }
        call.setFunction("when_wait") { [self] (call) throws(LuaFailure) in
          try schedule(call, task: 2, try processes.check(call, at: 1).handle, .read)
          return .results(0)
        }
        call.setFunction("kill") { [self] (call) throws(LuaFailure) in try kill(call) }
        call.setFunction("pid") { [self] (call) throws(LuaFailure) in
          call.push(Int(try processes.check(call, at: 1).pointee.process.id))
          return .results(1)
        }
      },
      metamethods: { addName(of: processes, $0) { " (pid \($0.process.id))" } },
      finalize: { [self] object in
        var handle = object.handle
        object.process.abandon { _ in forget(&handle) }
      })
  }

  /// `"exit", status` or `"signal", number`, as often as it is asked.
  private func wait(_ call: LuaCall, blocks: Bool) throws(LuaFailure) -> LuaOutcome {
    let object = try processes.check(call, at: 1)
    call.count = 1
    do throws(Errno) {
      let end = try object.pointee.process.poll { _ in
        forget(&object.pointee.handle)
        object.pointee.handle.descriptor = -1
      }
      switch end {
      case .exited(let status):
        call.push("exit")
        call.push(Int(status))
        return .results(2)
      case .killed(let signal):
        call.push("signal")
        call.push(Int(signal))
        return .results(2)
      case nil: break
      }
    } catch {
      return call.pushFailure(error)
    }
    object.pointee.handle.markUnready(.read, at: clock.tick())
    return blocks ? try suspend(call, object.handle, .read, in: "wait") : call.pushRetry()
  }

  /// `kill([signal])`.
  private func kill(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let process = try processes.check(call, at: 1).pointee.process
    let number = try signalNumber(call, at: 2)
    do throws(Errno) {
      try process.signal(number)
      return call.pushTrue()
    } catch .noSuchProcess {
      return call.pushFailure("process not running")
    } catch {
      return call.pushFailure(error)
    }
  }

  private func signalNumber(_ call: LuaCall, at index: Int) throws(LuaFailure) -> Int32 {
    if call.isNoneOrNil(at: index) { return SIGKILL }
    if call.type(at: index) == .string, call.numberIfNumber(at: index) == nil {
      let name = try call.string(at: index)
      if let number = SignalName.number(of: name) { return number }
      throw call.argumentFailure(
        index, "unknown signal '\(name)': a number or a name like 'TERM' expected")
    }
    return Int32(clamping: try call.integer(at: index))
  }
}
