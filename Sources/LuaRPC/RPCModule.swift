import Lua
public enum RPCModule {}
