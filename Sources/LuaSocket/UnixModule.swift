import Glibc
import MilongaIO
import MilongaLua
import SystemPackage

/// The Lua module `socket.unix`: Unix domain sockets.
package enum UnixModule {
  /// Pushes the module's table. Called as a function it makes a stream socket, as it did when the
  /// module was that function.
  package static func open(_ call: LuaCall) {
    let library = SocketLibrary.of(call)
    let streams = library.unixStreamClasses(call)
    let datagrams = library.unixDatagramClasses(call)
    call.pushTable(fields: 5)
    for name: StaticString in ["stream", "tcp"] {
      call.setFunction(name) { (call) throws(LuaFailure) in
        library.createUnix(call, streams.master, .stream)
      }
    }
    for name: StaticString in ["dgram", "udp"] {
      call.setFunction(name) { (call) throws(LuaFailure) in
        library.createUnix(call, datagrams.unconnected, .datagram)
      }
    }
    call.setFunction("__call") { (call) throws(LuaFailure) in
      library.createUnix(call, streams.master, .stream)
    }
    call.pushValue(at: -1)
    call.setMetatable(of: -2)
  }
}

extension SocketLibrary {
  /// The classes, made when first asked for.
  fileprivate func unixStreamClasses(_ call: LuaCall) -> StreamClasses {
    if let unixStream { return unixStream }
    let classes = StreamClasses(call, kind: "unixstream")
    for sockets in classes.all { complete(sockets, call) { addUnixStreamMethods($0, classes) } }
    any = any.union(classes.any, name: any.name)
    unixStream = classes
    return classes
  }

  fileprivate func unixDatagramClasses(_ call: LuaCall) -> DatagramClasses {
    if let unixDatagram { return unixDatagram }
    let classes = DatagramClasses(call, kind: "unixdgram")
    for sockets in classes.all { complete(sockets, call) { addUnixDatagramMethods($0, classes) } }
    any = any.union(classes.any, name: any.name)
    unixDatagram = classes
    return classes
  }

  fileprivate func createUnix(
    _ call: LuaCall, _ sockets: LuaClass<SocketObject>, _ kind: SocketObject.Kind
  ) -> LuaOutcome {
    let socket = sockets.push(SocketObject(kind: kind, family: AF_UNIX), onto: call)
    if let failure = open(socket, family: AF_UNIX) { return call.pushFailure(failure) }
    return .results(1)
  }
}
