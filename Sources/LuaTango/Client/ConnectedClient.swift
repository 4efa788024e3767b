import MilongaLua

/// A client as proxies, futures and references see it: with any transport.
protocol ProxiedClient: AnyObject {
  /// The connection's references belong to this one of its connections.
  var generation: Int { get }
  var configuration: ClientConfiguration { get }

  /// Takes what has come, without waiting.
  func look(_ call: LuaCall)
  /// Sends the requests that wait for others to leave with them, as far as the system takes them.
  func sendRested(_ call: LuaCall)
  func close()
  /// Lua has collected the connection.
  func release()

  /// The program has a reference to the remote object.
  func hold(_ id: UnsafeRawBufferPointer)
  /// The program has released its reference.
  func letGo(_ id: UnsafeRawBufferPointer)
  /// Lua has collected a reference.
  func abandonReference(_ id: UnsafeRawBufferPointer, generation: Int)
}

/// A client of one of the transports. What calls need is found by a comparison here, and not
/// through a protocol.
enum ConnectedClient {
  case stream(TangoClient<StreamTransport>)
  case zmq(TangoClient<ZMQTransport>)

  var proxied: any ProxiedClient {
    switch self {
    case .stream(let client): client
    case .zmq(let client): client
    }
  }

  /// Performs the call on the stack: the connection, the path, the arguments. Runs again until it
  /// has the results.
  @inline(__always)
  func run(_ call: LuaCall) throws(LuaFailure) -> CallProgress {
    switch self {
    case .stream(let client): try client.run(call)
    case .zmq(let client): try client.run(call)
    }
  }

  /// Begins the call on the stack: the future, the path, the arguments. Runs again until the
  /// request is on its way; then the future is the result.
  func begin(_ call: LuaCall, _ future: TangoFuture) throws(LuaFailure) -> LuaOutcome {
    switch self {
    case .stream(let client): try client.begin(call, future)
    case .zmq(let client): try client.begin(call, future)
    }
  }

  /// Waits for the answer; the future is at 1. The results are those of the call.
  func wait(_ call: LuaCall, _ future: TangoFuture) throws(LuaFailure) -> LuaOutcome {
    switch self {
    case .stream(let client): try client.wait(call, future)
    case .zmq(let client): try client.wait(call, future)
    }
  }
}
