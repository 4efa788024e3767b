/// What this module is called.
public let nameLua = "Lua"
