import CMilongaFiles
import CMilongaLua
import CMilongaShims
import MilongaLua

/// A file of the folder `lua`. The binary has them all; Lua parses one when it is first needed.
package struct LuaFile {
  private let file: milonga_luafile

  /// The file of this module, which must be there.
  package init(_ module: StaticString) {
    let name = String(describing: module)
    guard let file = Self.all.first(where: { $0.module == name }) else {
      preconditionFailure("there is no file for \(module)")
    }
    self = file
  }

  private init(_ file: milonga_luafile) { self.file = file }

  private static var all: some Sequence<LuaFile> {
    sequence(first: milonga_luafiles()!) { $0 + 1 }.lazy
      .prefix { $0.pointee.module != nil }
      .map { LuaFile($0.pointee) }
  }

  private var module: String { String(cString: file.module) }

  /// Pushes the function that the file is.
  package func push(onto call: LuaCall) throws(LuaFailure) {
    guard milonga_load(call.state, file.text, file.count, file.chunk, "t") == LUA_OK else {
      throw .raised
    }
  }

  /// Registers the files that `require` finds in the table on top of the stack, which is
  /// `package.preload`.
  package static func preload(_ call: LuaCall) {
    let top = call.count
    defer { call.count = top }
    guard pushLoaderMaker(call) else { return }
    for (number, file) in all.enumerated() where file.file.is_internal == 0 {
      call.pushValue(at: -1)
      call.push(number)
      guard milonga_pcall(call.state, 1, 1, 0) == LUA_OK else { return }
      call.setField(file.module, of: top)
    }
  }

  /// Pushes the function that makes the loader of a file, given the file's number; false when there
  /// is no memory.
  private static func pushLoaderMaker(_ call: LuaCall) -> Bool {
    do throws(LuaFailure) {
      try LuaFile("milonga.loader").push(onto: call)
    } catch {
      return false
    }
    call.push { (call) throws(LuaFailure) in try open(call) }
    return milonga_pcall(call.state, 1, 1, 0) == LUA_OK
  }

  /// Gives the function that the file with the number at 1 is, with the environment at 2.
  private static func open(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    call.count = 2
    let number = try call.integer(at: 1)
    guard let file = all.dropFirst(max(0, number)).first(where: { _ in true }) else {
      throw call.failure("there is no file \(number)")
    }
    try file.push(onto: call)
    call.pushValue(at: 2)
    if lua_setupvalue(call.state, -2, 1) == nil { call.pop() }
    return .results(1)
  }
}
