import CMilongaLua
import CMilongaShims
import Copas
import MilongaLua

/// The objects that `con.async.name(...)` returns.
struct TangoFutures {
  private let futures: LuaClass<TangoFuture>
  private let get: Int32
  private let main: LuaCall

  init(_ call: LuaCall, loop: CopasLoop) {
    main = loop.main
    let futures = LuaClass<TangoFuture>(call, incomplete: "tango future")
    self.futures = futures
    call.push(function: { (call) throws(LuaFailure) in
      let future = try futures.check(call, at: 1).pointee
      if call.phase == .entered { call.count = 1 }
      try loop.requireOwnResumption(call, "future.get")
      return try future.caller.wait(call, future)
    })
    get = call.retainTop()
    let get = get
    futures.complete(
      call,
      methods: { call in
        call.pushRetained(get)
        call.setField("get", of: -2)
        call.setFunction("ready") { (call) throws(LuaFailure) in
          let future = try futures.check(call, at: 1).pointee
          if future.isPending { future.caller.look(call) }
          call.push(!future.isPending)
          return .results(1)
        }
      },
      finalize: { $0.release() })
  }

  /// Pushes a future of the connection at this place, which lives as long.
  func push(_ call: LuaCall, _ caller: TangoCaller, connection: Int) -> TangoFuture {
    let future = TangoFuture(caller, main: main)
    future.isUserdata = true
    futures.push(future, onto: call, userValues: 1)
    call.pushValue(at: connection)
    call.setUserValue(1, of: -2)
    return future
  }

  func check(_ call: LuaCall, at index: Int) throws(LuaFailure) -> TangoFuture {
    try futures.check(call, at: index).pointee
  }

  /// Pushes the function behind `future:get()`.
  func pushGet(_ call: LuaCall) { call.pushRetained(get) }
}
