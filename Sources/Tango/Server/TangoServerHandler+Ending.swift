import Logging
import MilongaRPC
import NIOCore
import RPCRuntime

// How a connection ends, if the peer does not end it.
extension TangoServerHandler {
  private var peer: String { context?.channel.peerName ?? "unknown peer" }

  func log(_ reason: String) {
    configuration.logger.warning("\(peer): disconnected: \(reason)")
  }

  /// Nothing is left to be done for a peer that has gone.
  func release() {
    _ = state.end()
    _ = references.removeAll()
  }

  /// Closes without an answer.
  func refuse(_ reason: String) {
    guard state.end() else { return }
    log(reason)
    context?.close(promise: nil)
  }

  /// The stream cannot be trusted from here on: says why, and closes.
  func disconnect(_ reason: String) {
    log(reason)
    answerLast { respond(error: "tango server error: \(reason)") }
    _ = state.end()
  }

  /// The connection holds the most, and all together hold too much.
  func endForMemory(_ reason: String) {
    log(reason)
    if state.hasLeft { release() }
    state.evict()
    reader.drop()
    writer.buffer.release()
    // Not in the middle of what is being done with this connection, or another one.
    eventLoop.execute { self.context?.close(promise: nil) }
  }
}

extension TangoServerHandler: AcceptedConnection {
  var handler: any ChannelHandler & Sendable { self }

  /// Takes no more calls, and closes when those that run have been answered.
  func requestShutDown() {
    eventLoop.execute {
      switch self.state.shutDown() {
      case .nothing: break
      case .closeNow: self.context?.close(promise: nil)
      case .flush: self.flush()
      }
    }
  }

  func abort() { eventLoop.execute { self.context?.close(promise: nil) } }
}
