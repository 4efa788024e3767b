import Glibc
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

/// What a connect that waits keeps: a userdata behind the arguments on the coroutine's stack.
struct PendingConnect {
  enum State {
    /// The name is being looked up.
    case lookUp(ticket: Int)
    /// The addresses are tried in turn.
    case attempt(ConnectAttempt)
  }

  let deadline: Int64
  var state: State
}

extension CopasLoop {
  /// `connect(socket, host, port)`: the name is looked up on another thread, then its addresses are
  /// tried in turn.
  func connect(
    _ call: LuaCall, _ connects: LuaClass<PendingConnect>
  ) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .entered {
      unwrap(call, at: 1)
      call.count = 3
    }
    guard let socket = sockets.tcp.any.payload(call, at: 1) else {
      return try transfer(call, .connect)
    }
    try requireInside(call, "connect")
    if call.phase == .entered { try begin(call, socket, connects) }
    let pending = try connects.check(call, at: 4)
    var attempt: ConnectAttempt
    switch pending.pointee.state {
    case .lookUp(let ticket):
      guard let answer = offThread.lookups.takeAnswer(ticket) else {
        guard call.phase == .resumed, hasTimedOut else {
          return sleep(until: pending.pointee.deadline)
        }
        offThread.lookups.abandon(ticket)
        return pushConnectTimeout(call)
      }
      switch answer {
      case .failure(let error): return call.pushFailure(.resolver(error))
      case .success(let addresses): attempt = ConnectAttempt(addresses)
      }
    case .attempt(let begun):
      if call.phase == .resumed, hasTimedOut { return pushConnectTimeout(call) }
      attempt = begun
    }
    switch attempt.proceed(socket, replace: { sockets.open(socket, family: $0) }) {
    case .failed(let failure): return call.pushFailure(failure)
    case .done:
      attempt.settle(socket)
      call.push(1.0)
      return .results(1)
    case .wait:
      pending.pointee.state = .attempt(attempt)
      do throws(Errno) {
        return try wait(socket, for: .write, until: pending.pointee.deadline)
      } catch {
        return call.pushFailure(.system(error))
      }
    }
  }

  /// Pushes the state of a connect that begins. A name, other than digits, is being looked up from
  /// here on.
  private func begin(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>,
    _ connects: LuaClass<PendingConnect>
  ) throws(LuaFailure) {
    let host = try call.string(at: 2)
    let service = try call.string(at: 3)
    sockets.tcp.client.adopt(call, at: 1)
    socket.pointee.timeouts.block = 0
    let deadline = MonotonicTime.deadline(
      after: socket.pointee.copasTimeouts.connect, from: MonotonicTime.now())
    let family = socket.pointee.family
    if let port = UInt16(service), let address = SocketAddress(numeric: host, port: port),
      family == AF_UNSPEC || family == address.family
    {
      let attempt = ConnectAttempt([address])
      connects.push(PendingConnect(deadline: deadline, state: .attempt(attempt)), onto: call)
      return
    }
    let query = ResolverQuery(host: host, service: service, family: family)
    let ticket = offThread.lookUp(query, for: current!, exists: scheduler.exists)
    connects.push(PendingConnect(deadline: deadline, state: .lookUp(ticket: ticket)), onto: call)
  }

  private func pushConnectTimeout(_ call: LuaCall) -> LuaOutcome {
    call.pushFailure(tellsSocketTimeouts ? .system(.alreadyInProcess) : .timeout)
  }
}
