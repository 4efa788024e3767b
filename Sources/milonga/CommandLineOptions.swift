import Glibc

/// What a command line asks for.
enum CommandLineRequest {
  /// `--help` or `-h`.
  case help
  /// `--version`.
  case version
  /// Everything else.
  case run(CommandLineOptions)
}

/// The options of `lua5.4`, from `milonga [options] [script [args]]`.
///
/// They are parsed by hand: arguments are bytes, `-e` and `-l` keep their order, what follows the
/// script is the script's, and wrong options are reported in `lua5.4`'s words.
struct CommandLineOptions {
  /// What is done before the script, in the order of the command line.
  enum Action {
    /// `-e stat`
    case execute(CString)
    /// `-l mod` or `-l g=mod`
    case require(CString)
    /// `-W`
    case warningsOn
  }

  /// A command that is written in Lua.
  enum Command {
    case call, serve
  }

  /// What is run after the actions.
  enum Script {
    case file(CString)
    case standardInput
    /// `call` or `serve`; a file of that name is `./call`.
    case command(Command)
  }

  private(set) var actions: [Action] = []
  private(set) var script: Script?
  /// The script's place among the arguments, 0 when there is none: the origin of `arg`.
  private(set) var scriptIndex = 0
  /// `-i`: the prompt follows the script.
  private(set) var isInteractive = false
  /// `-v`, which `-i` implies.
  private(set) var showsVersion = false
  /// `-E`: environment variables are ignored.
  private(set) var ignoresEnvironment = false
  /// `--copas`, or the program was started under the name `copas`: everything runs in a Copas
  /// thread.
  fileprivate(set) var isCopasRuntime = false
  /// With `-e` or `-v` there is something to do without a script.
  private(set) var needsNoScript = false

  /// A command line that cannot be understood.
  enum Mistake: Error {
    case unrecognized(String)
    case needsArgument(String)
  }
}

extension CommandLineRequest {
  /// Reads the command line up to the script.
  init(_ arguments: ProgramArguments) throws(CommandLineOptions.Mistake) {
    var options = CommandLineOptions()
    options.isCopasRuntime = arguments.isNamed("copas")
    var index = 1
    while index < arguments.count, options.script == nil {
      let argument = arguments[index]
      if strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0 {
        self = .help
        return
      }
      if strcmp(argument, "--version") == 0 {
        self = .version
        return
      }
      if strcmp(argument, "--copas") == 0 {
        options.isCopasRuntime = true
        index += 1
        continue
      }
      if strcmp(argument, "--") == 0 {
        index += 1
        if index < arguments.count { options.setScript(.file(arguments[index]), at: index) }
        break
      }
      if argument[0] != CChar(ascii: "-") {
        options.setScript(Self.script(argument), at: index)
      } else if argument[1] == 0 {
        options.setScript(.standardInput, at: index)
      } else if argument[1] == CChar(ascii: "e") || argument[1] == CChar(ascii: "l") {
        var value = argument + 2
        if value[0] == 0 {
          index += 1
          guard index < arguments.count, arguments[index][0] != CChar(ascii: "-") else {
            throw .needsArgument(String(cString: argument))
          }
          value = arguments[index]
        }
        options.addAction(argument[1] == CChar(ascii: "e") ? .execute(value) : .require(value))
      } else {
        guard argument[2] == 0, options.setFlag(argument[1]) else {
          throw .unrecognized(String(cString: argument))
        }
      }
      index += 1
    }
    self = .run(options)
  }

  /// What the first word that is no option means.
  private static func script(_ word: CString) -> CommandLineOptions.Script {
    if strcmp(word, "call") == 0 { return .command(.call) }
    if strcmp(word, "serve") == 0 { return .command(.serve) }
    return .file(word)
  }
}

extension CommandLineOptions {
  fileprivate mutating func setScript(_ script: Script, at index: Int) {
    self.script = script
    scriptIndex = index
  }

  fileprivate mutating func addAction(_ action: Action) {
    actions.append(action)
    if case .execute = action { needsNoScript = true }
  }

  /// False when there is no such flag.
  fileprivate mutating func setFlag(_ letter: CChar) -> Bool {
    switch letter {
    case CChar(ascii: "E"): ignoresEnvironment = true
    case CChar(ascii: "W"): actions.append(.warningsOn)
    case CChar(ascii: "i"):
      isInteractive = true
      showsVersion = true
    case CChar(ascii: "v"):
      showsVersion = true
      needsNoScript = true
    default: return false
    }
    return true
  }
}

extension CChar {
  /// The code of an ASCII character.
  init(ascii character: Unicode.Scalar) { self.init(bitPattern: UInt8(ascii: character)) }
}
