import CShims
import Lua

/// `require 'milonga'` under a stock `lua5.4`: registers the modules and returns a table that says
/// which version this is.
@_cdecl("luaopen_milonga")
public func openMilonga(_ state: OpaquePointer) -> Int32 {
  // Without memory for that nothing can be loaded, and nothing is found.
  guard milonga_openstore(state) == 0 else { return 0 }
  let call = LuaCall(state)
  MilongaModules.preload(call: call)
  call.pushTable(fields: 1)
  call.push(MilongaModules.version)
  call.setField("_VERSION", of: -2)
  return 1
}
