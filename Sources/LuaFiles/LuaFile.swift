import CMilongaShims
import Glibc
import LuaFiles
import MilongaLua

extension SocketModule {
  /// Registers the modules that are written in Lua in the table on top of the stack, which is
  /// `package.preload`. A file is parsed when it is required.
  public static func preloadFiles(_ call: LuaCall) {
    var next = milonga_luafiles()!
    while let module = next.pointee.module {
      let file = next.pointee
      defer { next += 1 }
      if file.is_internal != 0 { continue }
      call.push { (call) throws(LuaFailure) in try load(file, call) }
      call.setField(String(cString: module), of: -2)
    }
  }

  /// Pushes the function that an internal file is.
  public static func pushFile(_ module: StaticString, onto call: LuaCall) throws(LuaFailure) {
    var next = milonga_luafiles()!
    while let name = next.pointee.module {
      let isWanted = module.withUTF8Buffer {
        strcmp(name, UnsafeRawPointer($0.baseAddress!).assumingMemoryBound(to: CChar.self)) == 0
      }
      if isWanted {
        try parse(next.pointee, call)
        return
      }
      next += 1
    }
    preconditionFailure("there is no file for \(module)")
  }

  private static func parse(_ file: milonga_luafile, _ call: LuaCall) throws(LuaFailure) {
    guard milonga_load(call.state, file.text, file.count, file.chunk, "t") == 0 else {
      throw .raised
    }
  }

  /// What `require` calls: runs the file with the arguments given, and returns what it returns.
  private static func load(
    _ file: milonga_luafile, _ call: LuaCall
  ) throws(LuaFailure) -> LuaOutcome {
    guard call.phase == .entered else { return .results(1) }
    let arguments = call.count
    try parse(file, call)
    call.insert(at: 1)
    return .call(arguments: arguments, results: 1, state: 0)
  }
}
