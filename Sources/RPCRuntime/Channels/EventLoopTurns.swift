import DequeModule
import NIOConcurrencyHelpers
package import NIOCore

/// Turns of the connections of one event loop. A connection that has had its turn, and has calls
/// left, waits here until the event loop has looked at all others.
///
/// `EventLoop.execute` does not do that: an event loop runs all tasks, also those that come
/// meanwhile, before it looks at its connections again. Nor does a timer for each connection: while
/// one has its turn that of the next becomes due. So there is one timer for all that wait, and it
/// is due a moment later.
package final class EventLoopTurns: @unchecked Sendable {
  /// By event loops; only of those on which something waits.
  private static let all = NIOLockedValueBox<[ObjectIdentifier: EventLoopTurns]>([:])
  /// How long the event loop has nothing to do but to look at its connections.
  private static let moment = TimeAmount.microseconds(20)

  private let eventLoop: any EventLoop
  private var waiting: Deque<() -> Void> = []

  private init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

  /// Runs `goOn` when the others have had their turns. To be called on the event loop.
  package static func wait(on eventLoop: any EventLoop, _ goOn: @escaping () -> Void) {
    let turns = all.withLockedValue { all in
      if let turns = all[ObjectIdentifier(eventLoop)] { return turns }
      let turns = EventLoopTurns(eventLoop)
      all[ObjectIdentifier(eventLoop)] = turns
      return turns
    }
    turns.waiting.append(goOn)
    if turns.waiting.count == 1, !turns.isInRound { turns.schedule() }
  }

  private var isInRound = false

  private func schedule() {
    eventLoop.assumeIsolated().scheduleTask(in: Self.moment) { self.runRound() }
  }

  private func runRound() {
    isInRound = true
    for _ in 0..<waiting.count { waiting.removeFirst()() }
    isInRound = false
    if waiting.isEmpty {
      _ = Self.all.withLockedValue { $0.removeValue(forKey: ObjectIdentifier(eventLoop)) }
    } else {
      schedule()
    }
  }
}
