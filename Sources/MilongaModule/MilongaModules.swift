import Copas
import LuaFiles
import LuaRPC
import LuaSocket
import LuaTango
import MilongaLua
import XPIO

/// The Lua modules that Milonga brings along.
public enum MilongaModules {
  /// What `milonga -v` and the module's `_VERSION` say.
  public static let version = "Milonga 0.1.0"

  /// Registers every module in `package.preload`, so that `require` finds it. Nothing is loaded
  /// yet. Does nothing in a state without the package library.
  public static func preload(call: LuaCall) {
    guard call.pushPreloadTable() else { return }
    defer { call.pop() }
    LuaFile.preload(call)
    add("socket.core", to: call) { SocketModule.open($0) }
    add("socket.buffered", to: call) { SocketModule.openBuffered($0) }
    add("socket.monotonic", to: call) { SocketModule.openMonotonic($0) }
    add("socket.unix", to: call) { UnixModule.open($0) }
    add("socket.serial", to: call) { SerialModule.open($0) }
    add("mime.core", to: call) { MIMEModule.open($0) }
    add("copas", to: call) { (call) throws(LuaFailure) in
      try CopasModule.open(call, isReloaded: true)
    }
    for name in CopasModule.submoduleNames {
      add("copas." + name, to: call) { (call) throws(LuaFailure) in
        try CopasModule.open(call, submodule: name)
      }
    }
    add("xpio", to: call) { (call) throws(LuaFailure) in try XPIOModule.open(call) }
    add("luatobin", to: call) { LuatobinModule.open($0) }
    add("rpc", to: call) { (call) throws(LuaFailure) in
      try requireCopas(call)
      try RPCModule.open(call)
    }
    add("tango", to: call) { (call) throws(LuaFailure) in
      try requireCopas(call)
      try TangoModule.open(call)
    }
    for (side, backEnd) in TangoModule.backEnds + TangoModule.codecs {
      add("tango.\(side).\(backEnd)", to: call) { (call) throws(LuaFailure) in
        try requireCopas(call)
        try TangoModule.open(call, side: side, backEnd: backEnd)
      }
    }
  }

  /// Registers a module in the table on top of the stack. `open` pushes what `require` returns.
  private static func add(
    _ name: String, to call: LuaCall, open: @escaping (LuaCall) throws(LuaFailure) -> Void
  ) {
    call.push { (call) throws(LuaFailure) in
      try open(call)
      return .results(1)
    }
    call.setField(name, of: -2)
  }

  /// tango and rpc work with functions of the module `copas`: it is made if it was not required
  /// yet.
  private static func requireCopas(_ call: LuaCall) throws(LuaFailure) {
    try CopasModule.open(call)
    call.pop()
  }
}
