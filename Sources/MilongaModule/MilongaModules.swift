import Copas
import Lua
import LuaSocket
import LuaTango

/// The Lua modules that Milonga brings along.
public enum MilongaModules {
  /// What `milonga -v` and the module's `_VERSION` say.
  public static let version = "Milonga 0.1.0"

  /// Registers every module in `package.preload`, so that `require` finds it. Nothing is loaded yet.
  /// Does nothing in a state without the package library.
  public static func preload(call: LuaCall) {
    guard call.pushPreloadTable() else { return }
    defer { call.pop() }
    SocketModule.preloadFiles(call)
    call.setFunction("socket.core") { (call) throws(LuaFailure) in
      SocketModule.open(call)
      return .results(1)
    }
    call.setFunction("socket.buffered") { (call) throws(LuaFailure) in
      SocketModule.openBuffered(call)
      return .results(1)
    }
    call.setFunction("socket.unix") { (call) throws(LuaFailure) in
      UnixModule.open(call)
      return .results(1)
    }
    call.setFunction("socket.serial") { (call) throws(LuaFailure) in
      SerialModule.open(call)
      return .results(1)
    }
    call.setFunction("mime.core") { (call) throws(LuaFailure) in
      MIMEModule.open(call)
      return .results(1)
    }
    call.setFunction("copas") { (call) throws(LuaFailure) in
      try CopasModule.open(call, isReloaded: true)
      return .results(1)
    }
    for name in CopasModule.submoduleNames {
      call.push { (call) throws(LuaFailure) in
        try CopasModule.open(call, submodule: name)
        return .results(1)
      }
      call.setField("copas." + name, of: -2)
    }
    call.setFunction("tango") { (call) throws(LuaFailure) in
      try requireCopas(call)
      try TangoModule.open(call)
      return .results(1)
    }
    call.setFunction("tango.client.socket") { (call) throws(LuaFailure) in
      try requireCopas(call)
      try TangoModule.open(call, side: "client", backEnd: "socket")
      return .results(1)
    }
    call.setFunction("tango.server.copas_socket") { (call) throws(LuaFailure) in
      try requireCopas(call)
      try TangoModule.open(call, side: "server", backEnd: "copas_socket")
      return .results(1)
    }
  }

  /// tango works with functions of the module `copas`: it is made, if nobody has yet required it.
  private static func requireCopas(_ call: LuaCall) throws(LuaFailure) {
    try CopasModule.open(call)
    call.pop()
  }
}
