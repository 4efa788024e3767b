import Glibc
import MilongaIO
import MilongaLua

/// The Lua module `xpio`.
package enum XPIOModule {
  private static let key = LuaRegistryKey()

  /// Pushes the module's table: what `require 'xpio'` returns.
  package static func open(_ call: LuaCall) throws(LuaFailure) {
    call.pushRegistry(key)
    if call.type(at: -1) == .table { return }
    call.pop()
    let library = XPIOLibrary(call)
    call.pushTable(fields: 10)
    call.pushValue(at: -1)
    call.setRegistry(key)
    library.addConstructors(call)
    library.addTaskQueue(call)
    addCurrentTask(call)
    call.setFunction("spawn") { (call) throws(LuaFailure) in try library.spawn(call) }
    call.setFunction("gettime") { (call) throws(LuaFailure) in
      call.push(Double(MonotonicTime.now()) / 1e9)
      return .results(1)
    }
    pushEnvironment(call)
    call.setField("env", of: -2)
  }

  private static func addCurrentTask(_ call: LuaCall) {
    call.setFunction("setCurrentTask") { (call) throws(LuaFailure) in
      if !call.isNoneOrNil(at: 1) { try call.check(1, is: .table) }
      call.count = 1
      call.setRegistry(XPIOLibrary.currentTask)
      return .results(0)
    }
    call.setFunction("getCurrentTask") { (call) throws(LuaFailure) in
      call.pushRegistry(XPIOLibrary.currentTask)
      return .results(1)
    }
  }

  /// Pushes the environment of the process as a table.
  private static func pushEnvironment(_ call: LuaCall) {
    call.pushTable()
    var next = environ
    while let entry = next.pointee {
      defer { next += 1 }
      guard let separator = strchr(entry, Int32(UInt8(ascii: "="))) else { continue }
      call.push(UnsafeRawBufferPointer(start: entry, count: separator - entry))
      call.push(UnsafeRawBufferPointer(start: separator + 1, count: strlen(separator + 1)))
      call.setTableField(of: -3)
    }
  }
}
