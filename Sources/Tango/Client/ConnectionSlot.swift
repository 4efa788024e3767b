import NIOCore
import Synchronization

/// The deadline passed before there was a connection.
struct DeadlinePassed: Error {}

/// One of a client's connections, or the attempt to make it.
final class ConnectionSlot: Sendable {
  private enum State {
    case empty
    case connecting(EventLoopPromise<TangoConnection>, Task<Void, Never>)
    case connected(TangoConnection)
    case closed
  }

  private let state = Mutex(State.empty)
  private let attempt: Attempt

  init(_ attempt: Attempt) { self.attempt = attempt }

  var eventLoop: any EventLoop { attempt.eventLoop }

  /// The connection, if it can be used now.
  var open: TangoConnection? {
    state.withLock {
      if case .connected(let connection) = $0, connection.isOpen { connection } else { nil }
    }
  }

  /// How busy it is: a new connection is better than a busy one, an idle one better than a new one.
  /// One that was lost for good is the last choice.
  var load: Double {
    state.withLock {
      switch $0 {
      case .connected(let connection) where connection.isOpen: Double(connection.callsInFlight)
      case .connecting: 1
      case .empty: 0.5
      case .connected: attempt.configuration.reconnects ? 0.5 : .infinity
      case .closed: .infinity
      }
    }
  }

  /// An open connection, made if need be. All calls that need one wait for the same attempt. A call
  /// that gives up does not end the attempt.
  ///
  /// - Throws: ``TangoError``, ``DeadlinePassed``, `CancellationError`.
  func connection(until deadline: NIODeadline?) async throws -> TangoConnection {
    if let open { return open }
    let current: EventLoopFuture<TangoConnection> = try state.withLock { try join(&$0) }
    // What is completed a second time stays as it is.
    let mine = eventLoop.makePromise(of: TangoConnection.self)
    current.cascade(to: mine)
    let timer = deadline.map {
      eventLoop.scheduleTask(deadline: $0) { mine.fail(DeadlinePassed()) }
    }
    defer { timer?.cancel() }
    return try await withTaskCancellationHandler {
      try await mine.futureResult.get()
    } onCancel: {
      mine.fail(CancellationError())
    }
  }

  /// The future of the connection; an attempt begins, if need be.
  private func join(_ state: inout State) throws -> EventLoopFuture<TangoConnection> {
    switch state {
    case .closed: throw TangoError.shutDown
    case .connecting(let promise, _): return promise.futureResult
    case .connected(let connection):
      if connection.isOpen { return eventLoop.makeSucceededFuture(connection) }
      guard attempt.configuration.reconnects else {
        throw TangoError.connectionClosed(peer: attempt.peer)
      }
    case .empty: break
    }
    let promise = eventLoop.makePromise(of: TangoConnection.self)
    let task = Task {
      do {
        let connection = try await attempt.connect()
        if end(attempt: .connected(connection)) {
          promise.succeed(connection)
        } else {
          connection.end(.shutDown)
        }
      } catch {
        if end(attempt: .empty) { promise.fail(error) }
      }
    }
    state = .connecting(promise, task)
    return promise.futureResult
  }

  /// - Returns: false when the slot was closed meanwhile.
  private func end(attempt result: State) -> Bool {
    state.withLock { state in
      if case .closed = state { return false }
      state = result
      return true
    }
  }

  /// Ends the connection, or the attempt; there will be no other.
  func close() {
    let before = state.withLock { state in
      defer { state = .closed }
      return state
    }
    switch before {
    case .empty, .closed: break
    case .connecting(let promise, let task):
      task.cancel()
      promise.fail(TangoError.shutDown)
    case .connected(let connection): connection.end(.shutDown)
    }
  }
}
