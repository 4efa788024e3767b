import Glibc
import MilongaIO
import MilongaLua
import SystemPackage

/// LuaSocket inside one Lua state: its classes and what they share.
package final class SocketLibrary {
  package let pool = BufferPool()
  package let tcp: StreamClasses
  package let udp: DatagramClasses
  /// The other classes, which are made when their modules are first required.
  var unixStream: StreamClasses?
  var unixDatagram: DatagramClasses?
  var serial: LuaClass<SocketObject>?
  /// All classes made so far.
  package internal(set) var any: LuaClassGroup<SocketObject>
  /// The metatable of tables that another module has made of sockets, which are in their field
  /// `socket`.
  package var wrapperMetatable: UnsafeRawPointer?
  /// Told before an object gives up its descriptor.
  package var willGiveUpDescriptor: ((inout SocketObject) -> Void)?
  /// `send` and `receive` return the elapsed seconds as an additional last value.
  let isDebugging = getenv("MILONGA_SOCKET_DEBUG").map { String(cString: $0) == "1" } ?? false

  private static let key = LuaRegistryKey()

  /// The library of the state; made when it is first asked for.
  package static func of(_ call: LuaCall) -> SocketLibrary {
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
    tcp = StreamClasses(call, kind: "tcp")
    udp = DatagramClasses(call, kind: "udp")
    any = tcp.any.union(udp.any, name: "socket")
    for tcp in tcp.all { complete(tcp, call) { addTCPMethods($0) } }
    for udp in udp.all { complete(udp, call) { addUDPMethods($0) } }
  }

  /// The closures own the library (finalisers of scripts may call them until the very end of the
  /// state); it does not own them.
  func complete(
    _ sockets: LuaClass<SocketObject>, _ call: LuaCall, addMethods: (LuaCall) -> Void
  ) {
    let name = sockets.name
    sockets.complete(
      call,
      methods: { call in
        call.push(name)
        call.setField("class", of: -2)
        addMethods(call)
      },
      metamethods: { call in
        call.setFunction("__tostring") { [self] (call) throws(LuaFailure) in
          guard any.payload(call, at: 1) != nil else {
            throw call.typeFailure(argument: 1, expected: name)
          }
          let address = UInt(bitPattern: call.identity(at: 1))
          call.push("\(name): 0x\(String(address, radix: 16))")
          return .results(1)
        }
      },
      finalizesByHand: true, finalize: { [self] in close(&$0) })
  }

  // MARK: Objects

  @inline(__always)
  public func check(
    _ sockets: LuaClass<SocketObject>, _ call: LuaCall
  ) throws(LuaFailure) -> UnsafeMutablePointer<SocketObject> {
    guard let socket = sockets.payload(call, at: 1) else {
      throw call.typeFailure(argument: 1, expected: sockets.name)
    }
    return socket
  }

  package func check(
    _ sockets: LuaClassGroup<SocketObject>, _ call: LuaCall
  ) throws(LuaFailure) -> UnsafeMutablePointer<SocketObject> {
    guard let socket = sockets.payload(call, at: 1) else {
      throw call.typeFailure(argument: 1, expected: sockets.name)
    }
    return socket
  }

  /// The listening socket at `index`, TCP or Unix; nil when it is something else.
  package func server(_ call: LuaCall, at index: Int) -> UnsafeMutablePointer<SocketObject>? {
    tcp.server.payload(call, at: index) ?? unixStream?.server.payload(call, at: index)
  }

  /// Pushes a client object for a connection accepted by a server of this family.
  @discardableResult
  package func pushClient(
    _ socket: Socket, family: Int32, onto call: LuaCall
  ) -> UnsafeMutablePointer<SocketObject> {
    let client = family == AF_UNIX ? unixStream!.client : tcp.client
    return client.push(SocketObject(descriptor: socket.descriptor, family: family), onto: call)
  }

  /// Closes the object's descriptor, after the scheduler was told.
  package func close(_ socket: inout SocketObject) {
    if socket.descriptor >= 0 { willGiveUpDescriptor?(&socket) }
    socket.close(pool: pool)
  }

  /// Gives the object a fresh descriptor of this family.
  package func open(_ socket: UnsafeMutablePointer<SocketObject>, family: Int32) -> SocketFailure? {
    close(&socket.pointee)
    do throws(Errno) {
      let opened = try Socket.open(family: family, stream: socket.pointee.kind == .stream)
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
    _ socket: UnsafeMutablePointer<SocketObject>, to addresses: [SocketAddress]
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
  package func pushFailure(_ failure: SocketFailure) -> LuaOutcome {
    pushNil()
    push(failure.text)
    return .results(2)
  }
}
