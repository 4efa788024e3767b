import Copas
import LuaConnection
import LuaSocket
import MilongaLua
import MilongaScheduler
import SystemPackage

// A client leaves while functions of its run. Mostly the reader, which waits for the next request,
// reads the end of the connection. When nothing is read, because the connection is full or the
// program is asked about the client, the readiness queue reports the hang-up. TLS ends with a
// message of its own, of which the system does not know: a full connection reads on for it.
extension TangoSession {
  struct Ending {
    /// The descriptor whose hang-up the dispatcher reports; -1 for none.
    var descriptor: Int32 = -1
    /// The coroutine in which the program is asked about the client.
    var asking: TaskID?
    /// The client sends no more. What it sent before may still be in the system.
    var isHungUp = false
    /// All that it sent has been read.
    var isAtEnd = false
    /// The connection is closed; what was received before is handled.
    var hasLeft = false
  }

  /// Bytes of requests that are read with TLS while they are not taken.
  static let mostReadAhead = 64 * 1024

  // MARK: Observing

  /// From now on a hang-up is reported.
  func observeHangup() {
    guard ending.descriptor < 0, configuration.onDisconnect != .answer else { return }
    // What cannot be watched fails with the first wait.
    do throws(Errno) { try stream.watch() } catch { return }
    ending.descriptor = stream.descriptor
    loop.observeHangup(of: ending.descriptor, by: self)
    if loop.hasHungUp(ending.descriptor) { ending.isHungUp = true }
  }

  func stopObserving() {
    if ending.descriptor >= 0 { loop.stopObservingHangup(of: ending.descriptor, by: self) }
  }

  // MARK: A full connection

  /// The reader has a request, but takes no more for now. Nil when it is to look again.
  func waitForPlace(_ call: LuaCall) -> LuaOutcome? {
    if let outcome = flush(call) { return outcome }
    guard progress == .serving else { return nil }
    if !ending.hasLeft, isAtEndOfClient(mostKept) { leave() }
    return rest(call, while: isFull)
  }

  /// Looks for the client's end while its requests are not taken. From now on a hang-up wakes the
  /// reader.
  ///
  /// - Parameter limit: bytes of requests that may be kept.
  /// - Returns: whether all that it has sent is received, and it sends no more.
  func isAtEndOfClient(_ limit: Int) -> Bool {
    guard configuration.onDisconnect != .answer else { return false }
    observeHangup()
    guard ending.isHungUp || stream.isSecure else { return false }
    return stream.receiveRest(limit: ending.isHungUp ? limit : Self.mostReadAhead)
  }

  /// The reader waits for the end of a call, and with TLS for more from the client, which may be
  /// its goodbye.
  ///
  /// - Parameter isNeeded: is asked last, because what comes before it may run Lua code.
  /// - Returns: nil when it need not wait.
  func rest(_ call: LuaCall, while isNeeded: @autoclosure () -> Bool) -> LuaOutcome? {
    if connection.isHolding || !connection.isDrained || !connection.output.isEmpty {
      connection.tellHolding()
    }
    guard connection.isOpen || connection.keepsReceived else { return finish(call) }
    guard isNeeded() else { return nil }
    left = .atRest
    roles.isReaderAsleep = true
    guard stream.isSecure, connection.isOpen, configuration.onDisconnect != .answer,
      socket.pointee.buffer.count < Self.mostReadAhead
    else { return loop.sleep(until: .max) }
    do throws(Errno) {
      return try stream.wait(for: .read, until: .max)
    } catch {
      return finish(call)
    }
  }

  /// The client has gone. What it sent before is still to be handled.
  private func leave() {
    ending.hasLeft = true
    connection.closeKeepingReceived()
    dropHeld()
    if configuration.onDisconnect == .cancel { cancelCalls() }
    if connection.isHolding || !connection.isDrained { connection.tellHolding() }
  }

  // MARK: The end of requests

  /// The client sends no more, and all that it sent is handled.
  func endOfRequests(_ call: LuaCall, _ reason: String) -> LuaOutcome {
    if !socket.pointee.buffer.isEmpty {
      configuration.log.disconnected(peer, "\(reason) in the middle of a message")
    }
    ending.isAtEnd = true
    return endOfRequests(call)
  }

  func endOfRequests(_ call: LuaCall) -> LuaOutcome {
    guard configuration.onDisconnect == .answer, !roles.suspended.isEmpty, connection.isOpen else {
      return finish(call)
    }
    if let outcome = rest(call, while: !roles.suspended.isEmpty) { return outcome }
    return flush(call) ?? endOfRequests(call)
  }
}

extension TangoSession: HangupObserver {
  func hungUp() {
    ending.isHungUp = true
    if connection.waitsForRoom { connection.mayReadAgain() }
    if let asking = ending.asking {
      // What is left of the client is handled when the program has allowed it.
      guard stream.receiveRest(limit: mostKept) else { return }
      leave()
      if configuration.onDisconnect == .cancel { loop.removeInItsTurn(asking) }
    } else if roles.isReaderAsleep {
      wakeReader()
    }
  }
}

/// Bytes of requests that are kept for a client that has left. If there are more, its connection
/// stays, and counts among the descriptors.
private let mostKept = 1 << 20
