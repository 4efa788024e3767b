import MilongaLua

/// The classes of stream sockets of one kind, `tcp` or `unixstream`. An object begins as a master
/// and becomes a client when it connects, a server when it listens.
package struct StreamClasses {
  package let master: LuaClass<SocketObject>
  package let client: LuaClass<SocketObject>
  package let server: LuaClass<SocketObject>
  let all: [LuaClass<SocketObject>]
  package let any: LuaClassGroup<SocketObject>

  init(_ call: LuaCall, kind: String) {
    master = LuaClass(call, incomplete: "\(kind){master}")
    client = LuaClass(call, incomplete: "\(kind){client}")
    server = LuaClass(call, incomplete: "\(kind){server}")
    all = [client, server, master]
    any = LuaClassGroup(name: "\(kind){any}", all)
  }
}

/// The classes of datagram sockets of one kind, `udp` or `unixdgram`. An object changes its class
/// with every `setpeername`.
package struct DatagramClasses {
  package let unconnected: LuaClass<SocketObject>
  package let connected: LuaClass<SocketObject>
  let all: [LuaClass<SocketObject>]
  package let any: LuaClassGroup<SocketObject>

  init(_ call: LuaCall, kind: String) {
    unconnected = LuaClass(call, incomplete: "\(kind){unconnected}")
    connected = LuaClass(call, incomplete: "\(kind){connected}")
    all = [unconnected, connected]
    any = LuaClassGroup(name: "\(kind){any}", all)
  }
}
