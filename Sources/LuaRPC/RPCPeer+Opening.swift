import LuaConnection
import LuaSocket
import MilongaIO
import MilongaLua

// What has to happen before the first message: a client connects; then come the TLS handshake, and
// the consent of the program (``ConnectionOpening``).
extension RPCPeer {
  /// What came of it.
  enum Opened {
    case ready
    /// The connection is closed, for this reason.
    case refused(String)
    /// The function is to return this, and goes on when it runs again.
    case unfinished(LuaOutcome)
  }

  /// How this peer is opened.
  ///
  /// - Parameter destination: where a client connects to; nil when the connection is there.
  func openingSettings(_ destination: (host: String, port: Int)?) -> OpeningSettings {
    var settings = configuration.opening
    settings.destination = destination
    return settings
  }

  /// Goes on with the opening. Runs again after each outcome that it gives; an error of the
  /// program's `authorize` is on the stack when it throws.
  ///
  /// - Parameter index: the place of the LuaSocket object.
  func open(_ call: LuaCall, socketAt index: Int) throws(LuaFailure) -> Opened {
    guard var opening else { return .refused("closed") }
    let suspends = canSuspend(call)
    let progress: ConnectionOpening.Progress
    do throws(LuaFailure) {
      progress = try opening.proceed(
        call, stream, socketAt: index, suspends: suspends, state: Step.open.state)
    } catch {
      close()
      throw error
    }
    self.opening = opening
    if remoteAddress == nil, !opening.isConnecting { noteAddress() }
    switch progress {
    case .waits(let outcome):
      if suspends { noteOpener() }
      return .unfinished(outcome)
    case .asks(let outcome):
      if suspends {
        noteOpener()
        observeHangup()
      }
      return .unfinished(outcome)
    case .open:
      endOpening()
      return isOpen ? .ready : .refused("closed")
    case .failed(let failure):
      endOpening()
      return try failed(failure)
    }
  }

  private func endOpening() {
    opener = nil
    opening = nil
    stopObservingHangup()
  }

  /// With the running coroutine the opening ends.
  private func noteOpener() {
    opener = loop.currentTask
    observe()
  }

  private func failed(_ failure: ConnectionOpening.Failure) throws(LuaFailure) -> Opened {
    switch failure {
    case .connect(let failure): return refuse(failure.text)
    case .tls(let reason):
      guard configuration.isServer else { return refuse(reason) }
      configuration.log.warn("a client", "TLS failed: \(reason)")
      close()
      return .refused(reason)
    case .handshakeTimedOut:
      let limit = configuration.opening.handshakeTimeout
      let isOwnLimit = configuration.isServer || limit <= configuration.timeout
      guard isOwnLimit else { return refuse("timeout") }
      return refuse("no TLS handshake within \(limit) s (ssl_timeout)")
    case .handshake(let reason): return refuse("TLS handshake failed: \(reason)")
    case .unwatchable(let error): return refuse("its socket cannot be watched: \(error)")
    case .refused:
      close()
      return .refused("not authorized")
    case .authorizeFailed:
      close()
      throw .raised
    }
  }

  private func refuse(_ reason: String) -> Opened {
    if configuration.isServer { disconnect(reason) } else { close() }
    return .refused(reason)
  }
}

extension OpeningSettings.Authorization {
  /// The program's function is told the other side's address and port, and the socket: LuaSocket's,
  /// or that of LuaSec which is in its place.
  convenience init?(rpc function: consuming LuaStored) {
    self.init(function, results: 1) { stream, call, index in
      let address = stream.remoteAddress
      call.push(address?.numericHost ?? "unknown")
      call.push(Int(address?.port ?? 0))
      if stream.isSecure {
        stream.pushSecureConnection(onto: call)
      } else {
        call.pushValue(at: index)
      }
      return 3
    }
  }
}
