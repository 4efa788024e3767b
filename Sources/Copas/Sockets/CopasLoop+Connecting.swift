import Glibc
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

/// What a connect that waits keeps: a userdata behind the arguments on the coroutine's stack.
struct PendingConnect {
  var deadline: Int64
  var ticket: Int?
  var attempt: ConnectAttempt?
}

extension CopasLoop {
  /// `connect(socket, host, port)`: the name is looked up on another thread, then its addresses are
  /// tried in turn.
  func connect(
    _ call: LuaCall, _ pending: LuaClass<PendingConnect>
  ) throws(LuaFailure) -> LuaOutcome {
    if call.phase == .entered {
      unwrap(call, at: 1)
      call.count = 3
    }
    guard let socket = sockets.tcp.any.payload(call, at: 1) else {
      return try transfer(call, .connect)
    }
    try requireInside(call, "connect")
    if call.phase == .entered {
      let host = try call.string(at: 2)
      let service = try call.string(at: 3)
      sockets.tcp.client.adopt(call, at: 1)
      socket.pointee.timeouts.block = 0
      let seconds = socket.pointee.copasTimeouts.connect
      let state = pending.push(
        PendingConnect(
          deadline: MonotonicTime.deadline(after: seconds, from: MonotonicTime.now())),
        onto: call)
      let family = socket.pointee.family
      if let port = UInt16(service), let address = SocketAddress(numeric: host, port: port),
        family == AF_UNSPEC || family == address.family
      {
        state.pointee.attempt = ConnectAttempt([address])
      } else {
        let query = ResolverQuery(host: host, service: service, family: family)
        // Those of removed threads need not be made before it.
        if !lookups.isEmpty { lookups.abandonUnwanted(exists: scheduler.exists) }
        state.pointee.ticket = lookups.start(for: current!) {
          let lookup = Resolver.resolve(query, completion: $0)
          return { lookup.abandon() }
        }
        return sleep(until: state.pointee.deadline)
      }
    }
    let state = try pending.check(call, at: 4)
    if let ticket = state.pointee.ticket {
      guard let answer = lookups.takeAnswer(ticket) else {
        guard hasTimedOut else { return sleep(until: state.pointee.deadline) }
        lookups.abandon(ticket)
        return pushConnectTimeout(call)
      }
      state.pointee.ticket = nil
      switch answer {
      case .failure(let error): return call.pushFailure(.resolver(error))
      case .success(let addresses): state.pointee.attempt = ConnectAttempt(addresses)
      }
    } else if call.phase == .resumed, hasTimedOut {
      return pushConnectTimeout(call)
    }
    let progress = state.pointee.attempt!.proceed(
      socket, replace: { sockets.open(socket, family: $0) })
    switch progress {
    case .failed(let failure): return call.pushFailure(failure)
    case .done:
      state.pointee.attempt!.settle(socket)
      call.push(1.0)
      return .results(1)
    case .wait:
      do throws(Errno) {
        return try wait(socket, for: .write, until: state.pointee.deadline)
      } catch {
        return call.pushFailure(.system(error))
      }
    }
  }

  private func pushConnectTimeout(_ call: LuaCall) -> LuaOutcome {
    call.pushFailure(tellsSocketTimeouts ? .system(.alreadyInProcess) : .timeout)
  }
}
