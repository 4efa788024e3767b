import CMilongaLua
import CMilongaShims
import MilongaLua
import MilongaScheduler

/// The modules that wait to be asked for.
private let submodules: [(name: StaticString, open: @Sendable (LuaCall, CopasLoop) -> Void)] = [
  ("lock", CopasLock.open), ("semaphore", CopasSemaphore.open), ("queue", CopasQueue.open),
  ("future", CopasFuture.open), ("timer", CopasTimer.open),
]

/// Those that are files, which `require` finds.
private let fileModules = ["http", "ftp", "smtp"]

extension CopasModule {
  /// What `copas.lock` and so on are called.
  package static var submoduleNames: [String] { submodules.map { "\($0.name)" } }

  /// Pushes the table of `copas.lock` and so on.
  ///
  /// - Parameter name: one of ``submoduleNames``.
  package static func open(_ call: LuaCall, submodule name: String) throws(LuaFailure) {
    let loop = try CopasLoop.of(call)
    try open(call)
    call.pop()
    _ = loop.pushSubmodule(call, name)
  }
}

extension CopasLoop {
  /// Pushes a module, which is made when it is first asked for; false, with nothing pushed, when
  /// there is none of this name.
  func pushSubmodule(_ call: LuaCall, _ name: String) -> Bool {
    if module.submodules.isEmpty {
      call.pushTable(fields: submodules.count)
      module.submodules = LuaStored(popping: call)
    }
    module.submodules.push(onto: call)
    call.push(name)
    milonga_rawget(call.state, -2)
    call.remove(at: -2)
    if call.type(at: -1) == .table { return true }
    call.pop()
    guard let submodule = submodules.first(where: { "\($0.name)" == name }) else { return false }
    let count = call.count
    submodule.open(call, self)
    call.insert(at: count + 1)
    call.count = count + 1
    module.submodules.push(onto: call)
    call.pushValue(at: -2)
    call.setField(name, of: -2)
    call.pop()
    return true
  }

  /// `__index` of the module's table: a module that is asked for becomes its field.
  func loadSubmodule(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .entered {
      guard call.type(at: 2) == .string, let name = call.stringIfString(at: 2) else {
        call.pushNil()
        return .results(1)
      }
      if fileModules.contains(name) {
        milonga_pushglobaltable(call.state)
        call.pushField("require", of: -1)
        call.push("copas." + name)
        return .call(arguments: 1, results: 1)
      }
      guard pushSubmodule(call, name) else {
        call.pushNil()
        return .results(1)
      }
    }
    call.pushValue(at: 2)
    call.pushValue(at: -2)
    milonga_rawset(call.state, 1)
    return .results(1)
  }

  /// Reports the error value at 1 of the running thread, whose stack is as the error left it.
  func reportError(_ call: LuaCall) {
    guard let current, main.reserve(1) else { return }
    call.pushValue(at: 1)
    lua_xmove(call.state, main.state, 1)
    reportError(of: tasks[current])
  }
}
