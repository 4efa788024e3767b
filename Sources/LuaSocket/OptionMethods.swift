import CMilongaLua
import CMilongaShims
import Glibc
import MilongaIO
import MilongaLua
import SystemPackage

/// An option of LuaSocket: its form as a Lua value, and who has it.
private struct OptionEntry {
  enum Form {
    case boolean(SocketOption)
    case integer(SocketOption)
    /// `{on = boolean, timeout = seconds}`
    case linger
    /// The address of an interface, `*` for any.
    case multicastInterface
    /// `{multiaddr = address, interface = address}`
    case membership(Socket.Membership)
    /// `{multiaddr = address [, interface = number]}`
    case v6Membership(Socket.Membership)
    /// The text of an error, nil for none.
    case error
  }

  let form: Form
  let readers: OptionUsers
  let writers: OptionUsers

  init(_ form: Form, get readers: OptionUsers = [], set writers: OptionUsers = []) {
    self.form = form
    self.readers = readers
    self.writers = writers
  }
}

/// The kinds of objects that have an option.
struct OptionUsers: OptionSet {
  let rawValue: UInt8
  static let tcp = OptionUsers(rawValue: 1)
  static let udp = OptionUsers(rawValue: 2)
  static let unixStream = OptionUsers(rawValue: 4)
  static let unixDatagram = OptionUsers(rawValue: 8)
}

private let internet: OptionUsers = [.tcp, .udp]
private let every: OptionUsers = [.tcp, .udp, .unixStream, .unixDatagram]

private let options: [String: OptionEntry] = [
  "broadcast": .init(.boolean(.broadcast), get: .udp, set: .udp),
  "dontroute": .init(.boolean(.dontRoute), get: .udp, set: .udp),
  "error": .init(.error, get: internet),
  "ip-add-membership": .init(.membership(.add), set: .udp),
  "ip-drop-membership": .init(.membership(.drop), set: .udp),
  "ip-multicast-if": .init(.multicastInterface, get: .udp, set: .udp),
  "ip-multicast-loop": .init(.boolean(.multicastLoop), get: .udp, set: .udp),
  "ip-multicast-ttl": .init(.integer(.multicastTTL), set: .udp),
  "ipv6-add-membership": .init(.v6Membership(.add), set: .udp),
  "ipv6-drop-membership": .init(.v6Membership(.drop), set: .udp),
  "ipv6-multicast-hops": .init(.integer(.v6MulticastHops), get: .udp, set: .udp),
  "ipv6-multicast-loop": .init(.boolean(.v6MulticastLoop), get: .udp, set: .udp),
  "ipv6-unicast-hops": .init(.integer(.v6UnicastHops), get: .udp, set: .udp),
  "ipv6-v6only": .init(.boolean(.v6Only), get: .udp, set: internet),
  "keepalive": .init(.boolean(.keepAlive), get: .tcp, set: [.tcp, .unixStream]),
  "linger": .init(.linger, get: .tcp, set: [.tcp, .unixStream]),
  "recv-buffer-size": .init(.integer(.receiveBufferSize), get: internet, set: internet),
  "reuseaddr": .init(.boolean(.reuseAddress), get: internet, set: every),
  "reuseport": .init(.boolean(.reusePort), get: internet, set: internet),
  "send-buffer-size": .init(.integer(.sendBufferSize), get: internet, set: internet),
  "tcp-defer-accept": .init(.integer(.deferAccept), set: .tcp),
  "tcp-fastopen": .init(.integer(.fastOpen), set: .tcp),
  "tcp-fastopen-connect": .init(.integer(.fastOpenConnect), set: .tcp),
  "tcp-keepcnt": .init(.integer(.keepCount), get: .tcp, set: .tcp),
  "tcp-keepidle": .init(.integer(.keepIdle), get: .tcp, set: .tcp),
  "tcp-keepintvl": .init(.integer(.keepInterval), get: .tcp, set: .tcp),
  "tcp-nodelay": .init(.boolean(.noDelay), get: .tcp, set: .tcp),
]

extension SocketLibrary {
  func addGetOption(_ call: LuaCall, of sockets: SocketGroup, _ users: OptionUsers) {
    call.setFunction("getoption") { [self] (call) throws(LuaFailure) in
      let socket = try check(sockets, call).pointee.socket
      let name = String(cString: try call.cString(at: 2))
      guard let entry = options[name], entry.readers.contains(users) else {
        throw unsupportedOption(call, name)
      }
      do throws(Errno) {
        try pushOption(call, entry.form, of: socket)
        return .results(1)
      } catch {
        call.pushNil()
        call.push("getsockopt failed")
        return .results(2)
      }
    }
  }

  func addSetOption(_ call: LuaCall, of sockets: SocketGroup, _ users: OptionUsers) {
    call.setFunction("setoption") { [self] (call) throws(LuaFailure) in
      let socket = try check(sockets, call).pointee.socket
      let name = String(cString: try call.cString(at: 2))
      guard let entry = options[name], entry.writers.contains(users) else {
        throw unsupportedOption(call, name)
      }
      let set = try optionSetter(call, entry.form)
      do throws(Errno) {
        try set(socket)
      } catch {
        call.pushNil()
        call.push("setsockopt failed")
        return .results(2)
      }
      call.push(1.0)
      return .results(1)
    }
  }

  private func unsupportedOption(_ call: LuaCall, _ name: String) -> LuaFailure {
    call.argumentFailure(2, "unsupported option `\(name.prefix(35))'")
  }

  private func pushOption(
    _ call: LuaCall, _ form: OptionEntry.Form, of socket: Socket
  ) throws(Errno) {
    switch form {
    case .boolean(let option): call.push(try socket.get(option) != 0)
    case .integer(let option): call.push(Double(try socket.get(option)))
    case .linger:
      let linger = try socket.getLinger()
      call.pushTable(fields: 2)
      call.push(linger.on)
      call.setField("on", of: -2)
      call.push(Int(linger.seconds))
      call.setField("timeout", of: -2)
    case .multicastInterface: call.push(try socket.multicastInterface().digits)
    case .error:
      let code = try socket.get(.error)
      if code == 0 { call.pushNil() } else { call.push(SocketFailure.text(of: code)) }
    case .membership, .v6Membership: preconditionFailure("an option that cannot be read")
    }
  }

  /// Checks the value at 3. What sets the option is returned, because the value is checked first.
  private func optionSetter(
    _ call: LuaCall, _ form: OptionEntry.Form
  ) throws(LuaFailure) -> (Socket) throws(Errno) -> Void {
    switch form {
    case .boolean(let option):
      try check(call, is: .boolean)
      let value: Int32 = call.boolean(at: 3) ? 1 : 0
      return { (socket) throws(Errno) in try socket.set(option, to: value) }
    case .integer(let option):
      let value = Int32(clamping: (call.numberIfNumber(at: 3) ?? 0).clampedToInt)
      return { (socket) throws(Errno) in try socket.set(option, to: value) }
    case .linger:
      let (on, seconds) = try lingerArgument(call)
      return { (socket) throws(Errno) in try socket.setLinger(on: on, seconds: seconds) }
    case .multicastInterface:
      let digits = try call.string(at: 3)
      guard let interface = in_addr(interface: digits) else {
        throw call.argumentFailure(3, "ip expected, got '\(digits.prefix(40))'")
      }
      return { (socket) throws(Errno) in try socket.setMulticastInterface(interface) }
    case .membership(let membership):
      let (group, interface) = try membershipArgument(call)
      return { (socket) throws(Errno) in
        try socket.set(membership, group: group, interface: interface)
      }
    case .v6Membership(let membership):
      let (group, interface) = try v6MembershipArgument(call)
      return { (socket) throws(Errno) in
        try socket.set(membership, group: group, interface: interface)
      }
    case .error: preconditionFailure("an option that cannot be set")
    }
  }

  // MARK: Values that are tables

  private func lingerArgument(_ call: LuaCall) throws(LuaFailure) -> (on: Bool, seconds: Int32) {
    try check(call, is: .table)
    try pushEntry(call, "on")
    guard call.type(at: -1) == .boolean else {
      throw call.argumentFailure(3, "boolean 'on' field expected")
    }
    let on = call.boolean(at: -1)
    try pushEntry(call, "timeout")
    guard let seconds = call.numberIfNumber(at: -1) else {
      throw call.argumentFailure(3, "number 'timeout' field expected")
    }
    return (on, Int32(clamping: seconds.clampedToInt))
  }

  private func membershipArgument(
    _ call: LuaCall
  ) throws(LuaFailure) -> (group: in_addr, interface: in_addr) {
    try check(call, is: .table)
    guard let group = in_addr(digits: try stringEntry(call, "multiaddr")) else {
      throw call.argumentFailure(3, "invalid 'multiaddr' ip address")
    }
    guard let interface = in_addr(interface: try stringEntry(call, "interface")) else {
      throw call.argumentFailure(3, "invalid 'interface' ip address")
    }
    return (group, interface)
  }

  private func v6MembershipArgument(
    _ call: LuaCall
  ) throws(LuaFailure) -> (group: in6_addr, interface: UInt32) {
    try check(call, is: .table)
    var group = in6_addr()
    guard inet_pton(AF_INET6, try stringEntry(call, "multiaddr"), &group) == 1 else {
      throw call.argumentFailure(3, "invalid 'multiaddr' ip address")
    }
    try pushEntry(call, "interface")
    if call.type(at: -1) == .nil { return (group, 0) }
    guard let interface = call.numberIfNumber(at: -1) else {
      throw call.argumentFailure(3, "number 'interface' field expected")
    }
    return (group, UInt32(clamping: interface.clampedToInt))
  }

  private func stringEntry(
    _ call: LuaCall, _ name: StaticString
  ) throws(LuaFailure) -> String {
    try pushEntry(call, name)
    guard let text = call.stringIfString(at: -1) else {
      throw call.argumentFailure(3, "string '\(name)' field expected")
    }
    return text
  }

  /// Pushes a field of the table at 3, which may have metamethods.
  private func pushEntry(_ call: LuaCall, _ name: StaticString) throws(LuaFailure) {
    call.push(name)
    guard milonga_gettable(call.state, 3) == LUA_OK else { throw .raised }
  }

  private func check(_ call: LuaCall, is type: LuaType) throws(LuaFailure) {
    guard call.type(at: 3) != type else { return }
    let found = call.count < 3 ? "no value" : call.typeName(at: 3)
    throw call.argumentFailure(3, "\(type.name) expected, got \(found)")
  }
}

extension in_addr {
  fileprivate init?(digits: String) {
    self.init()
    guard inet_aton(digits, &self) != 0 else { return nil }
  }

  /// `*` is any interface.
  fileprivate init?(interface: String) {
    if interface == "*" { self.init() } else { self.init(digits: interface) }
  }

  fileprivate var digits: String { String(cString: inet_ntoa(self)) }
}
