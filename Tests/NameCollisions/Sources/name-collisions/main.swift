import CLua
import CShims
import IO
import Lua
import MilongaLua
import MilongaRPC
import RPC
import Scheduler
import TestSupport

let lua = try LuaState()
let names = [nameCLua, nameCShims, nameIO, nameLua, nameRPC, nameScheduler, nameTestSupport]
lua[global: "names"] = names.joined(separator: " ")
print(try lua.evaluate("return names", as: String.self), "beside", Value.string("MilongaRPC"))
