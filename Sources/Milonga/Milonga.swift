/// Milonga inside of another program: Lua states (`MilongaLua`), the dispatcher (`Copas`), and all
/// Lua modules (`MilongaModule`).
@_exported import Copas
@_exported import MilongaLua
@_exported import MilongaModule
