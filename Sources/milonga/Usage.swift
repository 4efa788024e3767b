import CMilongaShims
import MilongaLua
import MilongaModule

/// The texts about the program itself.
enum Usage {
  /// What `-v`, `--version` and the prompt's banner print.
  static var version: String {
    "\(MilongaModules.version) (\(String(cString: milonga_lua_copyright())))\n"
  }

  /// The complaint about a wrong command line.
  static func message(_ mistake: CommandLineOptions.Mistake, programName: String) -> String {
    let complaint =
      switch mistake {
      case .unrecognized(let option): "unrecognized option '\(option)'"
      case .needsArgument(let option): "'\(option)' needs argument"
      }
    return """
      \(programName): \(complaint)
      usage: \(programName) [options] [script [args]]
      \(options)
      """
  }

  /// What `--help` prints.
  static func help(programName: String) -> String {
    """
    Milonga runs Lua 5.4 programs, with networking built in: sockets, coroutine
    servers and remote calls, compatible with LuaSocket, Copas and tango.

    usage: \(programName) [options] [script [args]]
           \(programName) call [--json] HOST:PORT PATH [ARGS...]
           \(programName) serve FILE.lua [--port N] [--interface I]

    Without a script, -e or -v, Milonga opens a prompt on a terminal, and otherwise
    runs what it reads from standard input.

    \(options)
    Commands (a script of that name is ./call):
      call         call a function of a tango server, or read a variable; arguments
                   and results are Lua literals, with --json results are JSON.
                   HOST:PORT may be a ZeroMQ address, such as tcp://localhost:5555.
                   Status: 0, 1 for an error, 2 for a wrong command line
      serve        offer what FILE.lua returns, a table, to tango clients; on port
                   12345 of 127.0.0.1 unless told otherwise

    Modules built in (use them with require, or -l):
    \(modules())
    Lua's own modules, and C modules such as cjson, are found as lua5.4 finds them.

    Examples:
      milonga server.lua 12345    run a script; its arguments are in arg and ...
      milonga -e 'print(2^53)'    run one statement
      milonga call localhost:12345 math.sqrt 2
      milonga -l s=socket -i      try a module at the prompt, as the global s

    """
  }

  private static let options = """
    Options:
      -e stat      run the Lua statement 'stat'
      -l mod       require the module 'mod' into the global 'mod'
      -l g=mod     require the module 'mod' into the global 'g'
      -i           open the prompt after running the script
      -v           print the version
      -E           ignore the environment (LUA_INIT, LUA_PATH, LUA_CPATH)
      -W           turn warnings on
      --copas      run everything in a Copas thread; 'copas' is a global, and the
                   scheduler starts by itself (also when started as 'copas')
      --           end of the options
      -            end of the options; run standard input
      -h, --help   print a longer help with the modules built in and examples
      --version    print the version and exit

    """

  private static let descriptions = [
    "copas": "coroutine scheduler: servers, threads, timers, locks, queues",
    "ltn12": "filters, sources, sinks and pumps",
    "mime": "encodings: base64, quoted-printable, line ends",
    "rpc": "remote procedure calls in the binary format of Lua RPC",
    "socket": "TCP, UDP and Unix sockets, name resolution",
    "tango": "remote calls through transparent proxies",
    "xpio": "descriptors, task queues and processes",
  ]

  /// The modules that are there, a paragraph for each family of names.
  private static func modules() -> String {
    guard let lua = try? LuaState() else { return "" }
    MilongaModules.preload(call: lua.call)
    let list = """
      local names = {}
      for name in pairs(package.preload) do names[#names + 1] = name end
      table.sort(names)
      return table.concat(names, ' ')
      """
    guard let names = try? lua.evaluate(list, as: String.self) else { return "" }
    var text = ""
    var family = ""
    var column = 0
    for name in names.split(separator: " ") {
      let root = name.prefix { $0 != "." }
      if root != family {
        family = String(root)
        let padding = String(repeating: " ", count: max(1, 13 - root.count))
        text += (text.isEmpty ? "" : "\n") + "  \(root)\(padding)\(descriptions[family] ?? "")"
        column = 80
        if root == name { continue }
      }
      if column + name.count + 2 > 78 {
        text += "\n" + String(repeating: " ", count: 15)
        column = 15
      } else {
        text += ", "
        column += 2
      }
      text += name
      column += name.count
    }
    return text + "\n"
  }
}
