import CMilongaLua
import CMilongaShims
import Glibc
import MilongaLua

extension ScriptRunner {
  /// Runs what the command line asks for in a Copas thread, and the scheduler until nothing is left
  /// to do. The global `copas` is the module. An error in any thread is reported and ends the
  /// process.
  func runUnderCopas(_ call: LuaCall) throws(LuaFailure) -> Bool {
    call.push(runtime, name: "=copas runtime")
    call.push(arguments.programName)
    call.pushTable()
    let scripts = call.count
    for action in options.actions {
      guard try add(action, to: scripts, call) else { return false }
    }
    if let script = options.script ?? (options.needsNoScript ? nil : .standardInput) {
      guard try add(script, to: scripts, call) else { return false }
    }
    return report(call.run(arguments: 2), call)
  }

  /// Each script is a table of a function and its arguments.
  private var runtime: String {
    """
    local program, scripts = ...
    copas = require "copas"
    copas.loop(function()
      copas.seterrorhandler(function(...)
        io.stderr:write(program, ": ", copas.gettraceback(...), "\\n")
        os.exit(1)
      end, true)
      for _, script in ipairs(scripts) do script[1](table.unpack(script, 2)) end
    end)
    """
  }

  private func add(
    _ action: CommandLineOptions.Action, to scripts: Int, _ call: LuaCall
  ) throws(LuaFailure) -> Bool {
    call.pushTable()
    switch action {
    case .execute(let code):
      let source = UnsafeRawBufferPointer(start: code, count: strlen(code))
      guard report(call.load(source, name: "=(command line)"), call) else { return false }
      call.setElement(1, of: -2)
    case .require(let specification):
      call.push(
        "local name, module = (...):match '^([^=]*)=?(.*)' "
          + "_G[name] = require(module ~= '' and module or name)", name: "=(command line)")
      call.setElement(1, of: -2)
      call.push(specification)
      call.setElement(2, of: -2)
    case .warningsOn:
      call.push("warn '@on'", name: "=(command line)")
      call.setElement(1, of: -2)
    }
    call.setElement(Int(lua_rawlen(call.state, Int32(scripts))) + 1, of: scripts)
    return true
  }

  private func add(
    _ script: CommandLineOptions.Script, to scripts: Int, _ call: LuaCall
  ) throws(LuaFailure) -> Bool {
    guard try load(script, call) else { return false }
    let function = call.count
    let count = try pushScriptArguments(call)
    call.pushTable(elements: count + 1)
    call.insert(at: function)
    for index in stride(from: count + 1, through: 1, by: -1) {
      call.setElement(index, of: function)
    }
    call.setElement(Int(lua_rawlen(call.state, Int32(scripts))) + 1, of: scripts)
    return true
  }
}

extension LuaCall {
  /// Pushes a function of this text, which is our own and has no mistakes.
  fileprivate func push(_ source: String, name: String) {
    var source = source
    source.withUTF8 { text in
      precondition(
        load(UnsafeRawBufferPointer(text), name: name) == LUA_OK, "our own text does not compile")
    }
  }
}
