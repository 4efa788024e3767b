import Copas
import Lua
import LuaSocket
import LuaTango

/// The Lua modules that Milonga brings along.
public enum MilongaModules {
  /// Registers every module in `package.preload`, so that `require` finds it. Nothing is loaded yet.
  /// Does nothing in a state without the package library.
  public static func preload(call: LuaCall) {
    guard call.pushPreloadTable() else { return }
    defer { call.pop() }
    call.setFunction("socket") { (call) throws(LuaFailure) in
      SocketModule.open(call)
      return .results(1)
    }
    call.setFunction("copas") { (call) throws(LuaFailure) in
      try CopasModule.open(call)
      return .results(1)
    }
  }
}
