import CMilongaShims

/// Lua's standard libraries, for ``LuaState``.
///
/// What no set leaves out are the functions of the base library: `print`, `pairs`, `pcall`, `load`
/// and so on; but `dofile` and `loadfile`, which belong to ``io``, and `load` takes text only
/// without ``bytecode``.
public struct LuaLibraries: OptionSet, Sendable {
  public let rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let coroutine = LuaLibraries(MILONGA_COROUTINE)
  public static let table = LuaLibraries(MILONGA_TABLE)
  public static let string = LuaLibraries(MILONGA_STRING)
  public static let utf8 = LuaLibraries(MILONGA_UTF8)
  public static let math = LuaLibraries(MILONGA_MATH)
  /// `os.time`, `os.clock`, `os.date` and `os.difftime`.
  public static let time = LuaLibraries(MILONGA_TIME)
  /// The whole of `os`: programs, files, the environment, and the end of the process.
  public static let os = LuaLibraries(MILONGA_OS)
  /// Files and programs; with `dofile` and `loadfile`.
  public static let io = LuaLibraries(MILONGA_IO)
  /// `require`, which finds Lua files and C libraries.
  public static let package = LuaLibraries(MILONGA_PACKAGE)
  /// Looks into, and changes, whatever is in the state.
  public static let debug = LuaLibraries(MILONGA_DEBUG)
  /// `load` takes bytecode. Lua does not check it: bytecode can do anything to the process.
  public static let bytecode = LuaLibraries(MILONGA_BYTECODE)

  /// For code that is not trusted: nothing that reaches beyond the state.
  public static let safe: LuaLibraries = [.coroutine, .table, .string, .utf8, .math, .time]

  /// Everything, as `lua5.4` has it.
  public static let all: LuaLibraries = [.safe, .os, .io, .package, .debug, .bytecode]

  private init(_ library: Int) { rawValue = UInt32(library) }
}
