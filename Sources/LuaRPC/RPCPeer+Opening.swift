import LuaConnection
import MilongaLua

// What has to happen before the first message: the TLS handshake, then the consent of the program.
extension RPCPeer {
  enum Opening {
    /// The handshake, and when it has to be over.
    case handshake(until: Int64)
    case authorization
    /// The program has been asked.
    case question
    case done
  }

  /// What came of it.
  enum Opened {
    case ready
    /// The connection is closed, for this reason.
    case refused(String)
    /// The function is to return this, and goes on when it runs again.
    case unfinished(LuaOutcome)
  }

  /// Goes on with the opening. Runs again after each outcome that it gives; an error of the program's `authorize`
  /// is on the stack when it throws.
  func open(_ call: LuaCall) throws(LuaFailure) -> Opened {
    if case .handshake(let deadline) = opening {
      if let opened = try shake(call, until: deadline) { return opened }
      opening = .authorization
    }
    if case .authorization = opening {
      if configuration.authorize != 0 { return .unfinished(ask(call)) }
      opening = .done
    }
    opener = nil
    guard case .question = opening else { return .ready }
    opening = .done
    stopObservingHangup()
    guard call.phase == .returned else {
      close()
      throw .raised
    }
    guard call.boolean(at: -1) else {
      close()
      return .refused("not authorized")
    }
    guard isOpen else { return .refused("closed") }
    return .ready
  }

  /// Goes on with the handshake; nil when it is done.
  private func shake(_ call: LuaCall, until deadline: Int64) throws(LuaFailure) -> Opened? {
    let handshake = try stream.handshake(
      call, until: deadline, suspends: canSuspend(call), state: Step.open.state)
    switch handshake {
    case .done: return nil
    case .unfinished(let outcome):
      noteOpener()
      return .unfinished(outcome)
    case .timedOut:
      return refuse("no TLS handshake within \(configuration.handshakeTimeout) s (ssl_timeout)")
    case .failed(let reason): return refuse("TLS handshake failed: \(reason)")
    case .unwatchable(let error): return refuse("its socket cannot be watched: \(error)")
    }
  }

  /// With the running coroutine the opening ends.
  private func noteOpener() {
    opener = loop.currentTask
    observe()
  }

  private func refuse(_ reason: String) -> Opened {
    if configuration.isServer { disconnect(reason) } else { close() }
    return .refused(reason)
  }

  /// Asks the program about the other side.
  private func ask(_ call: LuaCall) -> LuaOutcome {
    opening = .question
    if canSuspend(call) {
      noteOpener()
      observeHangup()
    }
    call.pushRetained(configuration.authorize)
    call.push(remoteAddress?.numericHost ?? "unknown")
    call.push(Int(remoteAddress?.port ?? 0))
    pushSocket(onto: call)
    return .protectedCall(arguments: 3, results: 1, state: Step.open.state)
  }
}
