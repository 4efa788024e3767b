import CMilongaLua
import CMilongaShims
import Glibc
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

extension XPIOLibrary {
  /// `socket`, `socketpair`, `pipe` and `fdopen` in the table on top of the stack.
  func addConstructors(_ call: LuaCall) {
    call.setFunction("socket") { [self] (call) throws(LuaFailure) in
      let type = try call.bytes(at: 1)
      let isStream = type.elementsEqual("TCP".utf8)
      guard isStream || type.elementsEqual("UDP".utf8) else {
        return call.pushFailure("xpio: unsupported socket type")
      }
      do throws(Errno) {
        let socket = try Socket.open(family: AF_INET, stream: isStream)
        push(socket.descriptor, isStream ? .stream : .datagram, family: AF_INET, call)
        return .results(1)
      } catch {
        return call.pushFailure(error)
      }
    }
    call.setFunction("socketpair") { [self] (call) throws(LuaFailure) in
      do throws(Errno) {
        let (one, other) = try DescriptorPair.sockets()
        push(one, .stream, family: AF_UNIX, call).pointee.settle()
        push(other, .stream, family: AF_UNIX, call).pointee.settle()
        return .results(2)
      } catch {
        return call.pushFailure(error)
      }
    }
    call.setFunction("pipe") { [self] (call) throws(LuaFailure) in
      do throws(Errno) {
        let (read, write) = try DescriptorPair.pipe()
        push(read, .stream, family: AF_UNSPEC, call)
        push(write, .stream, family: AF_UNSPEC, call)
        return .results(2)
      } catch {
        return call.pushFailure(error)
      }
    }
    call.setFunction("fdopen") { [self] (call) throws(LuaFailure) in
      let number = Int32(clamping: try call.size(at: 1))
      let descriptor = milonga_duplicate_descriptor(number)
      guard descriptor >= 0 else { return call.pushFailure(Errno(rawValue: errno)) }
      push(descriptor, .other, family: AF_UNSPEC, call)
      return .results(1)
    }
  }

  @discardableResult
  func push(
    _ descriptor: Int32, _ kind: SocketObject.Kind, family: Int32, _ call: LuaCall
  ) -> UnsafeMutablePointer<SocketObject> {
    sockets.push(SocketObject(handle(descriptor), kind, family: family), onto: call)
  }

  func completeSockets(_ call: LuaCall) {
    sockets.complete(
      call,
      methods: { call in
        addNames(call)
        addConnecting(call)
        addTransfers(call)
        addDatagrams(call)
        addOptions(call)
        addScheduling(call)
        addClosing(call)
      },
      metamethods: {
        addName(of: sockets, $0) { socket in
          let descriptor = socket.handle.descriptor
          return descriptor < 0 ? " (closed)" : " (descriptor \(descriptor))"
        }
      },
      close: { [self] socket in close(&socket.handle) },
      finalizesByHand: true, finalize: { [self] socket in close(&socket.handle) })
  }

  /// `__tostring` for the metatable on top of the stack.
  func addName<Payload>(
    of objects: LuaClass<Payload>, _ call: LuaCall,
    _ details: @escaping (Payload) -> String
  ) {
    call.setFunction("__tostring") { (call) throws(LuaFailure) in
      let object = try objects.check(call, at: 1)
      let address = UInt(bitPattern: call.identity(at: 1))
      call.push(
        "\(objects.name): 0x\(String(address, radix: 16))\(details(object.pointee))")
      return .results(1)
    }
  }

  private func addScheduling(_ call: LuaCall) {
    call.setFunction("when_read") { [self] (call) throws(LuaFailure) in
      try schedule(call, task: 2, try sockets.check(call, at: 1).handle, .read)
      return .results(0)
    }
    call.setFunction("when_write") { [self] (call) throws(LuaFailure) in
      try schedule(call, task: 2, try sockets.check(call, at: 1).handle, .write)
      return .results(0)
    }
  }

  private func addClosing(_ call: LuaCall) {
    call.setFunction("close") { [self] (call) throws(LuaFailure) in
      let socket = try sockets.check(call, at: 1)
      guard socket.pointee.handle.descriptor >= 0 else {
        return call.pushFailure("already closed")
      }
      close(&socket.pointee.handle)
      return call.pushTrue()
    }
    call.setFunction("fileno") { [self] (call) throws(LuaFailure) in
      call.push(Int(try sockets.check(call, at: 1).pointee.handle.descriptor))
      return .results(1)
    }
    call.setFunction("shutdown") { [self] (call) throws(LuaFailure) in
      let socket = try sockets.check(call, at: 1).pointee.socket
      let ends = try call.bytes(at: 2)
      let (reads, writes) = (
        ends.contains(UInt8(ascii: "r")), ends.contains(UInt8(ascii: "w"))
      )
      return call.pushTrue { () throws(Errno) in
        guard reads || writes else { return }
        try socket.shutdown(reads ? writes ? .both : .receive : .send)
      }
    }
  }

  private func addNames(_ call: LuaCall) {
    call.setFunction("getsockname") { [self] (call) throws(LuaFailure) in
      let socket = try sockets.check(call, at: 1).pointee.socket
      return pushName(call) { () throws(Errno) in try socket.localAddress() }
    }
    call.setFunction("getpeername") { [self] (call) throws(LuaFailure) in
      let socket = try sockets.check(call, at: 1).pointee.socket
      return pushName(call) { () throws(Errno) in try socket.peerAddress() }
    }
  }

  private func pushName(
    _ call: LuaCall, _ name: () throws(Errno) -> SocketAddress
  ) -> LuaOutcome {
    do throws(Errno) {
      call.push(try name())
      return .results(1)
    } catch {
      return call.pushFailure(error)
    }
  }
}
