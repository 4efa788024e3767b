import MilongaRPC
import NIOCore
import NIOSSL
import RPCRuntime

// How a connection ends.
extension PeerConnection {
  /// Ends the connection, from any thread: all calls fail.
  func end(_ error: RPCError) {
    let calls = failAll(error)
    for call in calls { call.fail(error) }
    eventLoop.execute { self.shutChannel() }
  }

  /// The same for a caller that may hold this side's lock.
  func endSoon() {
    eventLoop.execute {
      // When the other side has gone, the calls that it has made are carried out first.
      if !self.state.carriesOutRest { self.end(.shutDown) }
    }
  }

  /// The stream cannot be trusted from here on: says why, once, and closes.
  func disconnect(_ reason: String) {
    guard state.phase != .ended else { return }
    // The program that connects hears of it by its error.
    if settings.isAccepted || state.phase != .opening {
      settings.logger.warning("\(name): disconnected: \(reason)")
    }
    flush()
    _ = state.end()
    end(.protocolViolation(peer: name, reason: reason))
  }

  func shutChannel() {
    if state.phase != .ended {
      // What was answered before should arrive, if it can at once.
      flush()
      _ = state.end()
    }
    opening?.cancel()
    opening = nil
    for timer in [deadlineTimer, stallTimer] { timer?.cancel() }
    (deadlineTimer, stallTimer) = (nil, nil)
    running.cancelAll()
    waitingCalls = WaitingCalls()
    visit?.cancel()
    visit = nil
    received = ByteBuffer()
    let (reason, objects) = lock.withLock { (shared.end, output.release()) }
    withExtendedLifetime(objects) {}
    tellHolding()
    _ = claimPeer()
    opened.fail(reason ?? .connectionClosed(peer: name))
    context?.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    let reason = RPCError.connectionClosed(peer: name)
    if state.leave() {
      end(reason)
    } else {
      for call in failAll(reason) { call.fail(reason) }
    }
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A peer that goes is no news.
    if error is IOError || error as? NIOSSLError == .uncleanShutdown {
      // The calls that it has made are carried out.
      if state.isGivingWay { return context.close(promise: nil) }
      return end(.connectionClosed(peer: name))
    }
    disconnect("\(error)")
  }

  /// Takes no more calls, and closes when those that run have been answered; from any thread.
  func requestShutDown() {
    eventLoop.execute {
      switch self.state.shutDown() {
      case .nothing: break
      case .end: self.end(.shutDown)
      case .finish: self.finishIfDone()
      }
    }
  }

  func finishIfDone() {
    guard state.phase == .finishing, running.isEmpty, waitingCalls.isEmpty, let context else {
      return
    }
    flush()
    // What was written before has left when this has.
    let written = eventLoop.makePromise(of: Void.self)
    written.futureResult.whenComplete { _ in self.end(.shutDown) }
    context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
  }
}
