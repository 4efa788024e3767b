import LuaCodec
import MilongaLua

// Objects of a declared type stay where they are: the other side gets their ids.
extension RPCPeer {
  /// The id of an object of this side that is sent by reference; nil when it is not.
  ///
  /// - Parameter type: where the name of its declared type is, 0 when it has none.
  func localID(_ call: LuaCall, _ index: Int, type: Int) throws(GraphFailure) -> UInt32? {
    if localObjects == nil, type != 0, !userdata.isEmpty {
      localObjects = LocalObjects(call, limit: configuration.limits.references)
    }
    return try localObjects?.id(call, of: index, type: type)
  }

  /// Pushes the object of this side with the id; false, with nothing pushed, when there is none.
  func pushObject(_ call: LuaCall, _ id: UInt32) -> Bool {
    localObjects?.push(call, id) ?? false
  }

  /// Pushes the name of the type of the object of this side at `index`, or nil.
  func pushTypeName(_ call: LuaCall, of index: Int) {
    guard let localObjects else { return call.pushNil() }
    localObjects.pushTypeName(call, of: index)
  }

  /// Pushes what stands for the object of the other side with the id: always the same, as long as
  /// the program has it.
  func pushProxy(_ call: LuaCall, _ id: UInt32) {
    guard call.reserve(8) else { return call.pushNil() }
    let remote = remoteObjects ?? RemoteObjects(call)
    remoteObjects = remote
    remote.push(call, id) { library.objects.push(RemoteObject(peer: self, id: id), onto: call) }
  }
}
