import CMilongaShims
import Glibc
import MilongaIO
import MilongaLua
import SystemPackage

/// An option of a socket, by its POSIX name.
private enum NamedOption {
  case flag(SocketOption)
  case size(SocketOption)
  case nonblocking

  init?(_ name: UnsafeRawBufferPointer) {
    for (known, option) in Self.all where name.elementsEqual(known.utf8) {
      self = option
      return
    }
    return nil
  }

  private static let all: KeyValuePairs<String, NamedOption> = [
    "TCP_NODELAY": .flag(.noDelay),
    "SO_KEEPALIVE": .flag(.keepAlive),
    "SO_REUSEADDR": .flag(.reuseAddress),
    "SO_RCVBUF": .size(.receiveBufferSize),
    "SO_SNDBUF": .size(.sendBufferSize),
    "O_NONBLOCK": .nonblocking,
    // Ours.
    "SO_BROADCAST": .flag(.broadcast),
    "SO_REUSEPORT": .flag(.reusePort),
    "IPV6_V6ONLY": .flag(.v6Only),
  ]
}

extension XPIOLibrary {
  /// `getsockopt` and `setsockopt`.
  func addOptions(_ call: LuaCall) {
    call.setFunction("getsockopt") { [self] (call) throws(LuaFailure) in
      let socket = try sockets.check(call, at: 1).pointee.socket
      guard let option = NamedOption(try call.bytes(at: 2)) else {
        return call.pushFailure("xpio: unknown socket option")
      }
      do throws(Errno) {
        switch option {
        case .flag(let option): call.push(try socket.get(option) != 0)
        case .size(let option): call.push(Int(try socket.get(option)))
        case .nonblocking:
          let isNonblocking = milonga_is_nonblocking(socket.descriptor)
          if isNonblocking < 0 { throw Errno(rawValue: errno) }
          call.push(isNonblocking != 0)
        }
        return .results(1)
      } catch {
        return call.pushFailure(error)
      }
    }
    call.setFunction("setsockopt") { [self] (call) throws(LuaFailure) in
      let socket = try sockets.check(call, at: 1)
      guard let option = NamedOption(try call.bytes(at: 2)) else {
        return call.pushFailure("xpio: unknown socket option")
      }
      let isOn = call.boolean(at: 3)
      var size: Int32 = 0
      if case .size = option { size = Int32(clamping: try call.size(at: 3)) }
      return call.pushTrue { () throws(Errno) in
        switch option {
        case .flag(let option): try socket.pointee.set(option, to: isOn ? 1 : 0)
        case .size(let option): try socket.pointee.set(option, to: size)
        case .nonblocking:
          let descriptor = socket.pointee.handle.descriptor
          if milonga_set_nonblocking(descriptor, isOn ? 1 : 0) != 0 {
            throw Errno(rawValue: errno)
          }
        }
      }
    }
  }
}
