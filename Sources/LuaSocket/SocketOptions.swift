import CLua
import CShims
import Glibc
import IO
import Lua
import SystemPackage

/// How an option of LuaSocket is a value in Lua.
private enum OptionKind {
  case boolean(SocketOption)
  case integer(SocketOption)
}

private let tcpOptions: [String: OptionKind] = [
  "keepalive": .boolean(.keepAlive),
  "reuseaddr": .boolean(.reuseAddress),
  "reuseport": .boolean(.reusePort),
  "tcp-nodelay": .boolean(.noDelay),
  "tcp-keepidle": .integer(.keepIdle),
  "tcp-keepcnt": .integer(.keepCount),
  "tcp-keepintvl": .integer(.keepInterval),
  "recv-buffer-size": .integer(.receiveBufferSize),
  "send-buffer-size": .integer(.sendBufferSize),
]

private let tcpSetOnlyOptions: [String: OptionKind] = [
  "ipv6-v6only": .boolean(.v6Only),
  "tcp-defer-accept": .integer(.deferAccept),
  "tcp-fastopen": .integer(.fastOpen),
  "tcp-fastopen-connect": .integer(.fastOpenConnect),
]

extension SocketLibrary {
  func getOption(_ call: LuaCall, of socket: Socket) throws(LuaFailure) -> LuaOutcome {
    let name = try call.string(at: 2)
    do throws(Errno) {
      switch (name, tcpOptions[name]) {
      case (_, .boolean(let option)): call.push(try socket.get(option) != 0)
      case (_, .integer(let option)): call.push(Double(try socket.get(option)))
      case ("linger", _):
        let linger = try socket.getLinger()
        call.pushTable(fields: 2)
        call.push(linger.on)
        call.setField("on", of: -2)
        call.push(Int(linger.seconds))
        call.setField("timeout", of: -2)
      case ("error", _):
        let code = try socket.get(.error)
        if code == 0 { call.pushNil() } else { call.push(SocketFailure.text(of: code)) }
      default: throw .noSuchFileOrDirectory
      }
      return .results(1)
    } catch {
      if error == .noSuchFileOrDirectory { throw unsupportedOption(call, name) }
      call.pushNil()
      call.push("getsockopt failed")
      return .results(2)
    }
  }

  func setOption(_ call: LuaCall, of socket: Socket) throws(LuaFailure) -> LuaOutcome {
    let name = try call.string(at: 2)
    let apply: () throws(Errno) -> Void
    switch (name, tcpOptions[name] ?? tcpSetOnlyOptions[name]) {
    case (_, .boolean(let option)):
      guard call.type(at: 3) == .boolean else {
        throw call.argumentFailure(3, "boolean expected, got \(typeName(call, at: 3))")
      }
      let value = call.boolean(at: 3)
      apply = { () throws(Errno) in try socket.set(option, to: value ? 1 : 0) }
    case (_, .integer(let option)):
      let value = Int32(clamping: (call.numberIfNumber(at: 3) ?? 0).clampedToInt)
      apply = { () throws(Errno) in try socket.set(option, to: value) }
    case ("linger", _):
      let (on, seconds) = try lingerArgument(call)
      apply = { () throws(Errno) in try socket.setLinger(on: on, seconds: seconds) }
    default: throw unsupportedOption(call, name)
    }
    do throws(Errno) {
      try apply()
    } catch {
      call.pushNil()
      call.push("setsockopt failed")
      return .results(2)
    }
    call.push(1.0)
    return .results(1)
  }

  private func lingerArgument(_ call: LuaCall) throws(LuaFailure) -> (on: Bool, seconds: Int32) {
    guard call.type(at: 3) == .table else {
      throw call.argumentFailure(3, "table expected, got \(typeName(call, at: 3))")
    }
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

  /// Pushes a field of the table at 3, which may have metamethods.
  private func pushEntry(_ call: LuaCall, _ name: StaticString) throws(LuaFailure) {
    call.push(name)
    guard milonga_gettable(call.state, 3) == LUA_OK else { throw .raised }
  }

  private func typeName(_ call: LuaCall, at index: Int) -> String {
    index > call.count ? "no value" : call.typeName(at: index)
  }

  private func unsupportedOption(_ call: LuaCall, _ name: String) -> LuaFailure {
    call.argumentFailure(2, "unsupported option `\(name.prefix(35))'")
  }
}
