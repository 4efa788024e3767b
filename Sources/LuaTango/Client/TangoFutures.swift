import CMilongaLua
import CMilongaShims
import Copas
import MilongaLua

/// The objects that `con.async.name(...)` returns.
final class TangoFutures {
  /// What such an object holds.
  struct Payload {
    let future: TangoFuture
    let client: ConnectedClient
  }

  private let futures: LuaClass<Payload>
  private let get: LuaStored

  init(_ call: LuaCall, loop: CopasLoop) {
    let futures = LuaClass<Payload>(call, incomplete: "tango future")
    self.futures = futures
    call.push(function: { (call) throws(LuaFailure) in
      let payload = try futures.check(call, at: 1).pointee
      if call.phase == .entered { call.count = 1 }
      try loop.requireOwnResumption(call, "future.get")
      return try payload.client.wait(call, payload.future)
    })
    get = LuaStored(popping: call)
    futures.complete(
      call,
      methods: { call in
        pushGet(call)
        call.setField("get", of: -2)
        call.setFunction("ready") { (call) throws(LuaFailure) in
          let payload = try futures.check(call, at: 1).pointee
          if payload.future.isPending { payload.client.proxied.look(call) }
          call.push(!payload.future.isPending)
          return .results(1)
        }
      },
      finalize: { $0.future.collected() })
  }

  /// Pushes a future of the connection at this place, which lives as long.
  func push(_ call: LuaCall, _ client: ConnectedClient, connection: Int) -> TangoFuture {
    let future = TangoFuture()
    futures.push(Payload(future: future, client: client), onto: call, userValues: 1)
    call.pushValue(at: connection)
    call.setUserValue(1, of: -2)
    return future
  }

  func check(_ call: LuaCall, at index: Int) throws(LuaFailure) -> Payload {
    try futures.check(call, at: index).pointee
  }

  /// Pushes the function behind `future:get()`.
  func pushGet(_ call: LuaCall) { get.push(onto: call) }
}
