import CShims
import Lua
import LuaSocketFiles

extension SocketModule {
  /// Registers the modules that are written in Lua in the table on top of the stack, which is
  /// `package.preload`. A file is parsed when it is required.
  public static func preloadFiles(_ call: LuaCall) {
    var next = milonga_luafiles()!
    while let module = next.pointee.module {
      let file = next.pointee
      call.push { (call) throws(LuaFailure) in try load(file, call) }
      call.setField(String(cString: module), of: -2)
      next += 1
    }
  }

  /// What `require` calls: runs the file with the arguments given, and returns what it returns.
  private static func load(
    _ file: milonga_luafile, _ call: LuaCall
  ) throws(LuaFailure) -> LuaOutcome {
    guard call.phase == .entered else { return .results(1) }
    let arguments = call.count
    guard milonga_load(call.state, file.text, file.count, file.chunk, "t") == 0 else {
      throw .raised
    }
    call.insert(at: 1)
    return .call(arguments: arguments, results: 1, state: 0)
  }
}
