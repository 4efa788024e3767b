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
    for file in all where file.file.is_internal == 0 {
      call.push { (call) throws(LuaFailure) in try file.load(call) }
      call.setField(file.module, of: -2)
    }
  }

  /// What `require` calls: runs the file with the arguments given, and returns what it returns.
  private func load(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    guard call.phase == .entered else { return .results(1) }
    let arguments = call.count
    try push(onto: call)
    call.insert(at: 1)
    return .call(arguments: arguments, results: 1)
  }
}
