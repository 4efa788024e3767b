import Glibc
import MilongaIO
import MilongaLua
import SystemPackage

extension SocketLibrary {
  /// Sets the methods of UDP objects in the table on top of the stack.
  func addUDPMethods(_ call: LuaCall) {
    addDescriptorMethods(call, of: udp.any)
    addGetTimeout(call, of: udp.any)
    addDatagramMethods(call, of: udp)
    addInternetNames(
      call, of: udp.any, connected: SocketGroup(name: udp.connected.name, [udp.connected]))
    call.setFunction("sendto") { [self] (call) throws(LuaFailure) in try sendTo(call) }
    call.setFunction("receivefrom") { [self] (call) throws(LuaFailure) in try receiveFrom(call) }
    call.setFunction("setsockname") { [self] (call) throws(LuaFailure) in
      try bindInternet(call, check(udp.unconnected, call))
    }
    call.setFunction("setpeername") { [self] (call) throws(LuaFailure) in try setPeer(call) }
    addGetOption(call, of: udp.any, .udp)
    addSetOption(call, of: udp.any, .udp)
  }

  /// `sendto(datagram, ip, port)`. The address is in digits: nothing is looked up.
  private func sendTo(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try check(udp.unconnected, call)
    let bytes = try call.bytes(at: 2)
    let query = ResolverQuery(
      host: try call.string(at: 3), service: try call.string(at: 4),
      family: socket.pointee.family, stream: false, numeric: true)
    let address: SocketAddress
    switch Resolver.resolve(query) {
    case .failure(let error):
      call.pushNil()
      // The system's text, where LuaSocket has its own everywhere else.
      call.push(error.description)
      return .results(2)
    case .success(let addresses): address = addresses[0]
    }
    if socket.pointee.family == AF_UNSPEC, socket.pointee.descriptor < 0,
      let failure = open(socket, family: address.family)
    {
      return call.pushFailure(failure)
    }
    return try sendDatagram(call, socket, bytes) { $0.send($1, to: address) }
  }

  private func receiveFrom(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try check(udp.unconnected, call)
    var sender = SocketAddress.none
    let failure = try receiveDatagram(call, socket) { $0.receive(into: $1, from: &sender) }
    if let failure { return failure }
    call.push(sender.numericHost)
    call.push(Int(sender.port ?? 0))
    return .results(3)
  }

  /// `setpeername(host, port)`; the host `*` undoes it.
  private func setPeer(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let socket = try check(udp.any, call)
    let host = try call.string(at: 2)
    if host == "*" {
      if socket.pointee.descriptor >= 0 { socket.pointee.socket.disconnect() }
      udp.unconnected.adopt(call, at: 1)
    } else {
      let query = ResolverQuery(
        host: host, service: try call.string(at: 3), family: socket.pointee.family, stream: false)
      if let failure = try connect(call, socket, query) { return call.pushFailure(failure) }
      udp.connected.adopt(call, at: 1)
    }
    call.push(1.0)
    return .results(1)
  }
}
