import Glibc
import MilongaIO
import MilongaLua
import SystemPackage

/// The Lua module `socket.serial`: a function that opens a serial device.
package enum SerialModule {
  /// Pushes the function `serial(path)`. It returns an object, or nil, a message and the error
  /// number.
  package static func open(_ call: LuaCall) {
    let library = SocketLibrary.of(call)
    let serial = library.serialClass(call)
    call.push { (call) throws(LuaFailure) in
      let path = try call.cString(at: 1)
      do throws(Errno) {
        let device = try SerialDevice.open(path)
        serial.push(SocketObject(kind: .serial, descriptor: device.descriptor), onto: call)
        return .results(1)
      } catch {
        _ = call.pushFailure(.system(error))
        call.push(Double(error.rawValue))
        return .results(3)
      }
    }
  }
}

extension SocketLibrary {
  /// The class, made when first asked for.
  fileprivate func serialClass(_ call: LuaCall) -> LuaClass<SocketObject> {
    if let serial { return serial }
    let serial = LuaClass<SocketObject>(call, incomplete: "serial{client}")
    let group = SocketGroup(name: "serial{any}", [serial])
    complete(serial, call) { call in
      addDescriptorMethods(call, of: group)
      addStreamMethods(call, of: serial)
    }
    any = any.union(group, name: any.name)
    self.serial = serial
    return serial
  }
}
