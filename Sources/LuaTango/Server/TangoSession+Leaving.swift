import Copas
import LuaConnection
import LuaSocket
import MilongaLua
import MilongaScheduler
import SystemPackage

// A client leaves while one of its functions waits. A session that waits for requests reads the end
// of the connection itself. While a function waits nothing is read, so the readiness queue reports
// the hang-up. Until then a session does nothing for this; from then on it looks at each wait of a
// function (`Stage.observed`).
//
// TLS ends with a message of its own, of which the system does not know. So with TLS each wait is
// looked at from the beginning, and a task reads beside the function (``EndWatch``).
extension TangoSession {
  struct Ending {
    /// The coroutine.
    var task: TaskID?
    /// The descriptor whose hang-up the dispatcher reports; -1 for none.
    var descriptor: Int32 = -1
    /// The client sends no more. What it sent before may still be in the system.
    var isHungUp = false
    /// The connection is closed; what was received before is handled.
    var hasLeft = false
    /// Another session handles what is left, with the references of this one.
    var isHandedOver = false
    var watch: EndWatch?
  }

  /// The connection is there; the client's end is told from now on.
  func observeEnd() {
    guard configuration.onDisconnect != .answer else { return }
    // What cannot be watched fails with the first wait.
    do throws(Errno) { try stream.watch() } catch { return }
    ending.task = loop.currentTask
    ending.descriptor = stream.descriptor
    loop.observeHangup(of: ending.descriptor, by: self)
  }

  func stopObserving() {
    if ending.descriptor >= 0 { loop.stopObservingHangup(of: ending.descriptor, by: self) }
  }

  /// The first request is allowed.
  func beginServing() { stage = observesTurns ? .observed : .serving }

  private var observesTurns: Bool {
    ending.descriptor >= 0 && (ending.isHungUp || stream.isSecure)
      || ending.hasLeft && configuration.onDisconnect == .cancel
  }

  /// A turn has something to be looked at when it ends.
  func observeTurn() {
    guard observesTurns, !isFinished else { return }
    if ending.task == nil { ending.task = loop.currentTask }
    loop.turnEndObserver = self
  }

  /// Looks whether a function waits, and whether its client has gone.
  private func lookForEnd() {
    guard observesTurns, !isFinished, !connection.waitsForRoom, let task = ending.task,
      loop.exists(task)
    else { return }
    switch loop.occupation(of: task, with: ending.hasLeft ? -1 : ending.descriptor) {
    case .none, .connection: return
    case .ready: return loop.observeRoundEnd(by: self)
    case .something: break
    }
    if !ending.hasLeft {
      guard stream.receiveRest(limit: ending.isHungUp ? mostKept : mostReadAhead) else {
        return startWatch()
      }
      ending.hasLeft = true
      connection.closeKeepingReceived()
      if connection.isHolding || !connection.isDrained { connection.tellHolding() }
    }
    if configuration.onDisconnect == .cancel { cancel(task) }
  }

  /// Lets the function that waits be ended in the next turn of its coroutine. Whole requests behind
  /// it are then handled in another one.
  private func cancel(_ task: TaskID) {
    loop.removeInItsTurn(task)
    if case .frame = connection.nextFrame, loop.main.reserve(8) { handOver() }
  }

  private func handOver() {
    let socket = stream.sockets.tcp.client.push(SocketObject(), onto: loop.main)
    let reference = loop.main.retainTop()
    let successor = TangoConnection(
      socket, sockets: stream.sockets, loop: loop, spare: stream.spare, limits: connection.limits,
      keeper: connection.keeper, log: connection.log)
    successor.takeReceived(from: connection)
    let session = TangoSession(configuration, successor, responder, peer: peer)
    session.ending.hasLeft = true
    session.stage = .observed
    ending.isHandedOver = true
    loop.startEvents(LeftSession(session, configuration, socketReference: reference))
  }

  // MARK: TLS

  private func startWatch() {
    guard stream.isSecure, ending.watch == nil else { return }
    let watch = EndWatch(self)
    ending.watch = watch
    loop.startEvents(watch)
  }

  /// What the watch is to do; nil when it is not needed.
  fileprivate func watchOn() -> LuaOutcome? {
    guard !ending.hasLeft, !isFinished, let task = ending.task, loop.exists(task),
      loop.occupation(of: task, with: ending.descriptor) == .something
    else { return nil }
    lookForEnd()
    guard !ending.hasLeft else { return nil }
    do throws(Errno) {
      return try stream.wait(for: .read, until: .max)
    } catch {
      return nil
    }
  }

  fileprivate func watchEnded() { ending.watch = nil }
}

extension TangoSession: HangupObserver, TurnEndObserver, RoundEndObserver {
  func hungUp() {
    ending.isHungUp = true
    if case .serving = stage { stage = .observed }
    if connection.waitsForRoom { connection.mayReadAgain() }
    if !isAtRest { loop.observeRoundEnd(by: self) }
  }

  func turnEnded() {
    connection.turnEnded()
    lookForEnd()
  }

  func roundEnded() { lookForEnd() }
}

/// What a client that has left had called before, behind a function that was cancelled.
private final class LeftSession: CoroutinelessTask {
  private let session: EventSession
  private let socketReference: Int32
  private let main: LuaCall

  init(
    _ session: TangoSession, _ configuration: ServerConfiguration, socketReference: Int32
  ) {
    self.session = EventSession(session, configuration, socketReference: socketReference)
    self.socketReference = socketReference
    main = session.loop.main
  }

  override func run(_ call: LuaCall) -> LuaOutcome {
    let outcome = session.run(call)
    state = session.state
    return outcome
  }

  override func ended() {
    session.ended()
    main.release(socketReference)
  }
}

/// Reads from a client that speaks TLS while one of its functions waits: what comes may be its
/// goodbye.
final class EndWatch: CoroutinelessTask {
  private let session: TangoSession

  init(_ session: TangoSession) { self.session = session }

  override func run(_ call: LuaCall) -> LuaOutcome {
    guard let outcome = session.watchOn() else {
      state = .finished
      return .results(0)
    }
    state = .atRest
    return outcome
  }

  override func ended() { session.watchEnded() }
}

/// Bytes of requests that are read with TLS while a function waits.
private let mostReadAhead = 64 * 1024
/// Bytes of requests that are kept for a client that has left. If there are more, its connection
/// stays, and counts among the descriptors.
private let mostKept = 1 << 20
