import CMilongaModule
import MilongaLua

/// The Swift part of `luaopen_milonga`: registers the modules and pushes a table that says which
/// version this is.
@_cdecl("milonga_open_modules")
func openModules(_ state: OpaquePointer) {
  let call = LuaCall(state)
  MilongaModules.preload(call: call)
  call.pushTable(fields: 1)
  call.push(MilongaModules.version)
  call.setField("_VERSION", of: -2)
}
