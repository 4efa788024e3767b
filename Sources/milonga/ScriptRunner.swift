import CMilongaLua
import CMilongaShims
import Glibc
import LuaFiles
import MilongaLua
import MilongaModule

/// Runs what the command line asks for in a fresh Lua state.
struct ScriptRunner {
  let arguments: ProgramArguments
  let options: CommandLineOptions

  /// Runs everything and closes the state.
  ///
  /// - Returns: the exit status of the process.
  func run() -> Int32 {
    if options.showsVersion { StandardStream.output.write(Usage.version) }
    let lua: LuaState
    do {
      lua = try LuaState(libraries: [])
    } catch {
      StandardStream.error.write("\(arguments.programName): \(error)\n")
      return EXIT_FAILURE
    }
    return withExtendedLifetime(lua) { run(in: lua.call) ? EXIT_SUCCESS : EXIT_FAILURE }
  }

  /// All of it runs inside one function called by Lua, so that every error has a catcher and
  /// tracebacks end as those of `lua5.4`.
  private func run(in call: LuaCall) -> Bool {
    var succeeded = false
    call.push { (call: LuaCall) throws(LuaFailure) -> LuaOutcome in
      try openLibraries(call)
      pushArgumentTable(call)
      milonga_generational(call.state)
      succeeded = try runInOrder(call)
      return .results(0)
    }
    return report(milonga_pcall(call.state, 0, 0, 0), call) && succeeded
  }

  private func runInOrder(_ call: LuaCall) throws(LuaFailure) -> Bool {
    if !options.ignoresEnvironment {
      guard runInitialization(call) else { return false }
    }
    if options.isCopasRuntime { return try runUnderCopas(call) }
    for action in options.actions {
      guard try perform(action, call) else { return false }
    }
    if let script = options.script {
      guard try run(script, call) else { return false }
    }
    if options.isInteractive {
      try Prompt(call).run()
    } else if options.script == nil, !options.needsNoScript {
      if isatty(STDIN_FILENO) != 0 {
        StandardStream.output.write(Usage.version)
        try Prompt(call).run()
      } else {
        // As lua5.4 does: an error is reported but the exit status is 0. `milonga -` gives 1.
        _ = runLoaded(call.load(file: nil), call)
      }
    }
    return true
  }

  // MARK: Setting up

  private func openLibraries(_ call: LuaCall) throws(LuaFailure) {
    if options.ignoresEnvironment {
      // Lua's package library reads LUA_PATH and LUA_CPATH unless this is set.
      call.push(true)
      call.setField("LUA_NOENV", of: Int(milonga_registryindex()))
    }
    guard milonga_openlibs(call.state) == LUA_OK else { throw .raised }
    MilongaModules.preload(call: call)
  }

  /// The global `arg`: the script at 0, its arguments from 1, what was before it at negative
  /// indices.
  private func pushArgumentTable(_ call: LuaCall) {
    let origin = options.scriptIndex
    milonga_pushglobaltable(call.state)
    call.pushTable(elements: arguments.count - origin - 1, fields: origin + 1)
    for index in 0..<arguments.count {
      call.push(arguments[index])
      milonga_rawseti(call.state, -2, lua_Integer(index - origin))
    }
    call.setField("arg", of: -2)
    call.pop()
  }

  // MARK: Running. Each reports its error, and says whether there was none.

  /// `LUA_INIT_5_4` or else `LUA_INIT`: Lua code, or `@` and the name of a file.
  private func runInitialization(_ call: LuaCall) -> Bool {
    for name in ["LUA_INIT_5_4", "LUA_INIT"] {
      guard let value = getenv(name) else { continue }
      if value[0] == CChar(ascii: "@") {
        return runLoaded(call.load(file: value + 1), call)
      }
      return execute(value, name: "=\(name)", call)
    }
    return true
  }

  private func perform(
    _ action: CommandLineOptions.Action, _ call: LuaCall
  ) throws(LuaFailure) -> Bool {
    switch action {
    case .execute(let code): return execute(code, name: "=(command line)", call)
    case .require(let module): return try require(module, call)
    case .warningsOn:
      lua_warning(call.state, "@on", 0)
      return true
    }
  }

  private func execute(_ code: CString, name: String, _ call: LuaCall) -> Bool {
    let source = UnsafeRawBufferPointer(start: code, count: strlen(code))
    return runLoaded(call.load(source, name: name), call)
  }

  /// `mod` into the global `mod`, `g=mod` into `g`.
  private func require(_ specification: CString, _ call: LuaCall) throws(LuaFailure) -> Bool {
    let all = UnsafeRawBufferPointer(start: specification, count: strlen(specification))
    var global = all
    var module = all
    if let separator = all.firstIndex(of: UInt8(ascii: "=")) {
      global = UnsafeRawBufferPointer(rebasing: all[..<separator])
      module = UnsafeRawBufferPointer(rebasing: all[(separator + 1)...])
    }
    try call.pushGlobal("require")
    call.push(module)
    guard report(call.run(arguments: 1, results: 1), call) else { return false }
    try call.setGlobal(global)
    return true
  }

  /// Pushes the function that a script is.
  func load(
    _ script: CommandLineOptions.Script, _ call: LuaCall
  ) throws(LuaFailure) -> Bool {
    switch script {
    case .file(let path): return report(call.load(file: path), call)
    case .standardInput: return report(call.load(file: nil), call)
    case .command(let command):
      try file(of: command).push(onto: call)
      return true
    }
  }

  /// Its function looks into the global `arg`.
  private func file(of command: CommandLineOptions.Command) -> LuaFile {
    switch command {
    case .call: LuaFile("milonga.call")
    case .serve: LuaFile("milonga.serve")
    }
  }

  private func run(
    _ script: CommandLineOptions.Script, _ call: LuaCall
  ) throws(LuaFailure) -> Bool {
    guard try load(script, call) else { return false }
    let count = try pushScriptArguments(call)
    return report(call.run(arguments: count), call)
  }

  /// Pushes what `arg` holds now, for an earlier `-e` may have changed it.
  func pushScriptArguments(_ call: LuaCall) throws(LuaFailure) -> Int {
    try call.pushGlobal("arg")
    guard call.type(at: -1) == .table else { throw call.failure("'arg' is not a table") }
    let table = call.count
    let count = Int(lua_rawlen(call.state, Int32(table)))
    guard call.reserve(count + 3) else {
      throw call.failure("stack overflow (too many arguments to script)")
    }
    for index in 0..<count { milonga_rawgeti(call.state, Int32(table), lua_Integer(index + 1)) }
    call.remove(at: table)
    return count
  }

  /// Runs the chunk that was loaded with this status.
  private func runLoaded(_ status: Int32, _ call: LuaCall) -> Bool {
    report(status, call) && report(call.run(), call)
  }

  /// Writes the error on top of the stack, if the status is one, under the program's name.
  func report(_ status: Int32, _ call: LuaCall) -> Bool {
    guard status != LUA_OK else { return true }
    StandardStream.error.write("\(arguments.programName): ")
    call.writeError()
    return false
  }
}
