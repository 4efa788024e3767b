import Glibc
import IO
import Lua
import SystemPackage

/// LuaSocket inside one Lua state: its classes and what they share.
public final class SocketLibrary {
  public let pool = BufferPool()
  /// The classes of TCP objects. One payload type; an object changes its class as LuaSocket's do.
  public let master: LuaClass<TCPSocket>
  public let client: LuaClass<TCPSocket>
  public let server: LuaClass<TCPSocket>
  /// Told before a descriptor that is watched is closed.
  public var willClose: ((Int32) -> Void)?

  private static let key = LuaRegistryKey()

  /// The library of the state; made when it is first asked for.
  public static func of(_ call: LuaCall) -> SocketLibrary {
    call.pushRegistry(key)
    defer { call.pop() }
    if let holder = LuaHolder<SocketLibrary>.object(call, at: -1) { return holder }
    let library = SocketLibrary(call)
    LuaHolder.push(library, onto: call)
    call.setRegistry(key)
    return library
  }

  private init(_ call: LuaCall) {
    signal(SIGPIPE, SIG_IGN)
    master = LuaClass(call, incomplete: "tcp{master}")
    client = LuaClass(call, incomplete: "tcp{client}")
    server = LuaClass(call, incomplete: "tcp{server}")
    for tcp in [master, client, server] { complete(tcp, call) }
  }

  /// The closures own the library (finalisers of scripts may call them until the very end of the
  /// state); it does not own them.
  private func complete(_ tcp: LuaClass<TCPSocket>, _ call: LuaCall) {
    let name = tcp.name
    tcp.complete(
      call,
      methods: { call in
        call.push(name)
        call.setField("class", of: -2)
        addTCPMethods(call)
      },
      metamethods: { call in
        call.setFunction("__tostring") { (call) throws(LuaFailure) in
          let address = UInt(bitPattern: call.identity(at: 1))
          call.push("\(name): 0x\(String(address, radix: 16))")
          return .results(1)
        }
      },
      finalize: { [self] in close(&$0) })
  }

  // MARK: Objects

  /// The TCP object at `index`, of whatever class; nil for other values.
  @inline(__always)
  public func tcpIfTCP(_ call: LuaCall, at index: Int) -> UnsafeMutablePointer<TCPSocket>? {
    client.payload(call, at: index) ?? server.payload(call, at: index)
      ?? master.payload(call, at: index)
  }

  func checkTCP(_ call: LuaCall) throws(LuaFailure) -> UnsafeMutablePointer<TCPSocket> {
    guard let socket = tcpIfTCP(call, at: 1) else {
      throw call.argumentFailure(1, "tcp{any} expected")
    }
    return socket
  }

  @inline(__always)
  public func check(
    _ tcp: LuaClass<TCPSocket>, _ call: LuaCall
  ) throws(LuaFailure) -> UnsafeMutablePointer<TCPSocket> {
    guard let socket = tcp.payload(call, at: 1) else {
      throw call.argumentFailure(1, "\(tcp.name) expected")
    }
    return socket
  }

  /// Pushes a client object for an accepted connection.
  @discardableResult
  public func pushClient(
    _ socket: Socket, family: Int32, onto call: LuaCall
  ) -> UnsafeMutablePointer<TCPSocket> {
    client.push(TCPSocket(descriptor: socket.descriptor, family: family), onto: call)
  }

  /// Closes, telling the scheduler first.
  public func close(_ socket: inout TCPSocket) {
    if socket.isWatched {
      socket.isWatched = false
      willClose?(socket.descriptor)
    }
    socket.close(pool: pool)
  }

  /// Gives the object a fresh descriptor of this family.
  public func open(_ socket: UnsafeMutablePointer<TCPSocket>, family: Int32) -> SocketFailure? {
    close(&socket.pointee)
    do throws(Errno) {
      let opened = try Socket.open(family: family, stream: true)
      if family == AF_INET6 { try? opened.set(.v6Only, to: 1) }
      socket.pointee.descriptor = opened.descriptor
      socket.pointee.family = family
      return nil
    } catch {
      return .system(error)
    }
  }

  /// Tries the addresses in turn until one can be bound.
  func bind(
    _ socket: UnsafeMutablePointer<TCPSocket>, to addresses: [SocketAddress]
  ) -> SocketFailure? {
    let family = socket.pointee.family
    var failure: SocketFailure? = .resolver(ResolverError(code: EAI_NONAME))
    for address in addresses {
      if socket.pointee.descriptor < 0 || socket.pointee.family != address.family {
        failure = open(socket, family: address.family)
        if failure != nil { continue }
      }
      do throws(Errno) {
        try socket.pointee.socket.bind(address)
        return nil
      } catch {
        failure = .system(error)
      }
    }
    socket.pointee.family = family
    return failure
  }
}

extension LuaCall {
  /// Pushes nil and the text of the failure: what LuaSocket's functions return.
  @discardableResult
  public func pushFailure(_ failure: SocketFailure) -> LuaOutcome {
    pushNil()
    push(failure.text)
    return .results(2)
  }
}
