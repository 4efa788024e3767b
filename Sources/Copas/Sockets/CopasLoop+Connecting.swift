import Glibc
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

/// A connect that waits: first for a name that another thread looks up, then for the addresses of
/// that name.
package struct PendingConnect {
  fileprivate enum Stage {
    case lookup(ticket: Int)
    case attempt(ConnectAttempt)
  }

  fileprivate let deadline: Int64
  fileprivate var stage: Stage
  /// The coroutine has waited, so the reason for its turn says whether the time is over.
  fileprivate var hasWaited = false
}

extension CopasLoop {
  /// How far a connect got.
  package enum ConnectProgress {
    case done
    /// The function is to return this, and goes on when it runs again.
    case wait(LuaOutcome)
    case failed(SocketFailure)
  }

  /// `connect(socket, host, port)`.
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
      let deadline = MonotonicTime.deadline(
        after: socket.pointee.copasTimeouts.connect, from: MonotonicTime.now())
      // Behind the arguments on the coroutine's stack.
      pending.push(startConnect(socket, host: host, service: service, until: deadline), onto: call)
    }
    let state = try pending.check(call, at: 4)
    switch proceed(&state.pointee, socket) {
    case .wait(let outcome):
      noteWait(call, for: socket)
      return outcome
    case .failed(let failure): return call.pushFailure(failure)
    case .done:
      call.push(1.0)
      return .results(1)
    }
  }

  /// Begins to connect a TCP socket for the running coroutine. A numeric address is tried at once;
  /// another thread looks up a name.
  package func startConnect(
    _ socket: UnsafeMutablePointer<SocketObject>, host: String, service: String,
    until deadline: Int64
  ) -> PendingConnect {
    socket.pointee.timeouts.block = 0
    let family = socket.pointee.family
    if let port = UInt16(service), let address = SocketAddress(numeric: host, port: port),
      family == AF_UNSPEC || family == address.family
    {
      return PendingConnect(deadline: deadline, stage: .attempt(ConnectAttempt([address])))
    }
    let query = ResolverQuery(host: host, service: service, family: family)
    let ticket = offThread.lookUp(query, for: current!, exists: scheduler.exists)
    return PendingConnect(deadline: deadline, stage: .lookup(ticket: ticket))
  }

  /// Goes on with a connect of the running coroutine.
  ///
  /// - Parameter state: what the coroutine keeps while it waits.
  package func proceed(
    _ pending: inout PendingConnect, _ socket: UnsafeMutablePointer<SocketObject>, state: Int = 0
  ) -> ConnectProgress {
    let isTimedOut = pending.hasWaited && hasTimedOut
    pending.hasWaited = true
    var attempt: ConnectAttempt
    switch pending.stage {
    case .lookup(let ticket):
      guard let answer = offThread.lookups.takeAnswer(ticket) else {
        guard isTimedOut else { return .wait(sleep(until: pending.deadline, state: state)) }
        offThread.lookups.abandon(ticket)
        return .failed(connectTimeout)
      }
      switch answer {
      case .failure(let error): return .failed(.resolver(error))
      case .success(let addresses): attempt = ConnectAttempt(addresses)
      }
    case .attempt(let begun):
      if isTimedOut { return .failed(connectTimeout) }
      attempt = begun
    }
    let progress = attempt.proceed(socket, replace: { sockets.open(socket, family: $0) })
    switch progress {
    case .failed(let failure): return .failed(failure)
    case .done:
      attempt.settle(socket)
      return .done
    case .wait:
      pending.stage = .attempt(attempt)
      do throws(Errno) {
        return .wait(try wait(socket, for: .write, until: pending.deadline, state: state))
      } catch {
        return .failed(.system(error))
      }
    }
  }

  private var connectTimeout: SocketFailure {
    tellsSocketTimeouts ? .system(.alreadyInProcess) : .timeout
  }
}
