import Glibc
import MilongaIO
import MilongaLua
import SystemPackage

extension SocketLibrary {
  /// Pushes the table `socket.dns`.
  func pushDNS(_ call: LuaCall) {
    call.pushTable(fields: 5)
    call.setFunction("toip") { (call) throws(LuaFailure) in
      pushHost(call, try lookUpHost(call)) { call, host in
        call.push(host.addresses.first ?? "")
      }
    }
    call.setFunction("tohostname") { (call) throws(LuaFailure) in
      pushHost(call, try lookUpHost(call)) { call, host in call.push(host.name) }
    }
    call.setFunction("getaddrinfo") { (call) throws(LuaFailure) in
      let query = ResolverQuery(host: try call.string(at: 1), service: nil)
      return try pushAddresses(call, query) { call, address in
        call.pushTable(fields: 2)
        call.push(familyName(address.family))
        call.setField("family", of: -2)
        call.push(address.numericHost)
        call.setField("addr", of: -2)
      }
    }
    call.setFunction("getnameinfo") { (call) throws(LuaFailure) in try pushNames(call) }
    call.setFunction("gethostname") { (call) throws(LuaFailure) in
      var name = [CChar](repeating: 0, count: 257)
      guard Glibc.gethostname(&name, 256) == 0 else {
        return call.pushFailure(.system(.init(rawValue: errno)))
      }
      call.push(String(decoding: name.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self))
      return .results(1)
    }
  }
}

/// Pushes an array of what `push` pushes for each address that the query finds.
private func pushAddresses(
  _ call: LuaCall, _ query: ResolverQuery, push: (LuaCall, SocketAddress) -> Void
) throws(LuaFailure) -> LuaOutcome {
  switch try resolve(query, call) {
  case .failure(let error): return call.pushFailure(.resolver(error))
  case .success(let addresses):
    call.pushTable(elements: addresses.count)
    for (index, address) in addresses.enumerated() {
      push(call, address)
      call.setElement(index + 1, of: -2)
    }
    return .results(1)
  }
}

/// `getnameinfo(host, service)`: an array of the names of the host's addresses, and the service's
/// name. Either may be nil.
private func pushNames(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
  let host = call.isNoneOrNil(at: 1) ? nil : try call.string(at: 1)
  let service = call.isNoneOrNil(at: 2) ? nil : try call.string(at: 2)
  if host == nil, service == nil { throw call.failure("host and serv cannot be both nil") }
  switch try resolve(ResolverQuery(host: host, service: service), call) {
  case .failure(let error): return call.pushFailure(.resolver(error))
  case .success(let addresses):
    call.pushTable()
    if host != nil {
      for (index, address) in addresses.enumerated() {
        call.push(address.hostName)
        call.setElement(index + 1, of: -2)
      }
    }
    guard service != nil, let last = addresses.last else { return .results(1) }
    call.push(last.serviceName)
    return .results(2)
  }
}

/// What gethostbyname(3) knows of a host.
private struct Host: Sendable {
  let name: String
  let aliases: [String]
  let addresses: [String]

  init(_ entry: hostent) {
    name = String(cString: entry.h_name)
    aliases = Self.list(entry.h_aliases) { String(cString: $0) }
    addresses = Self.list(entry.h_addr_list) { address in
      var text = [CChar](repeating: 0, count: Int(INET_ADDRSTRLEN))
      inet_ntop(AF_INET, address, &text, socklen_t(text.count))
      return text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
  }

  private static func list(
    _ pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
    _ transform: (UnsafeMutablePointer<CChar>) -> String
  ) -> [String] {
    var result: [String] = []
    var next = pointers
    while let pointer = next?.pointee {
      result.append(transform(pointer))
      next = next! + 1
    }
    return result
  }
}

/// Looks up the name at 1, or the name of an address; or why that failed.
private func lookUpHost(_ call: LuaCall) throws(LuaFailure) -> Result<Host, LookUpError> {
  let host = String(cString: try call.cString(at: 1))
  return try lookUp(call) {
    var address = in_addr()
    let entry =
      inet_aton(host, &address) == 0
      ? gethostbyname(host)
      : gethostbyaddr(&address, socklen_t(MemoryLayout<in_addr>.size), AF_INET)
    if let entry { return .success(Host(entry.pointee)) }
    let code = __h_errno_location().pointee
    return .failure(
      LookUpError(
        text: code == HOST_NOT_FOUND ? "host not found" : String(cString: hstrerror(code))))
  }
}

private struct LookUpError: Error {
  let text: String
}

/// Pushes the answer that `first` picks and the table with everything known of the host.
private func pushHost(
  _ call: LuaCall, _ answer: Result<Host, LookUpError>, first: (LuaCall, Host) -> Void
) -> LuaOutcome {
  let host: Host
  switch answer {
  case .success(let found): host = found
  case .failure(let error):
    call.pushNil()
    call.push(error.text)
    return .results(2)
  }
  first(call, host)
  call.pushTable(fields: 3)
  call.push(host.name)
  call.setField("name", of: -2)
  host.addresses.push(onto: call)
  call.setField("ip", of: -2)
  host.aliases.push(onto: call)
  call.setField("alias", of: -2)
  return .results(2)
}
