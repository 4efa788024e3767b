package import MilongaRPC
import NIOConcurrencyHelpers
package import NIOCore

/// Counts what the peers of one server hold, on each of its event loops.
package final class EventLoopKeepers: Sendable {
  private let limits: RPCLimits
  private let account: BufferAccount
  private let tickers = NIOLockedValueBox<[ObjectIdentifier: BufferTicker]>([:])

  package init(_ limits: RPCLimits, account: BufferAccount) {
    self.limits = limits
    self.account = account
  }

  /// The keeper of an event loop. To be called on that event loop.
  package func keeper(of eventLoop: any EventLoop) -> BufferKeeper {
    tickers.withLockedValue { tickers in
      let key = ObjectIdentifier(eventLoop)
      if let known = tickers[key] { return known.keeper }
      let new = BufferTicker(limits, account, eventLoop)
      tickers[key] = new
      return new.keeper
    }
  }
}

/// Calls ``BufferKeeper/tick()`` on an event loop, as long as that is wanted. All of it belongs to
/// the event loop.
private final class BufferTicker: @unchecked Sendable {
  private(set) var keeper: BufferKeeper!
  private let eventLoop: any EventLoop
  private var isScheduled = false

  init(_ limits: RPCLimits, _ account: BufferAccount, _ eventLoop: any EventLoop) {
    self.eventLoop = eventLoop
    keeper = BufferKeeper(
      limits, account: account, setting: "limits.maxBufferedBytes",
      wake: { [weak self] in
        guard let self else { return }
        eventLoop.execute { _ = self.keeper.tick() }
      },
      clock: { Int64(NIODeadline.now().uptimeNanoseconds) })
    keeper.startTicking = { [weak self] in self?.schedule() }
  }

  private func schedule() {
    guard !isScheduled else { return }
    isScheduled = true
    eventLoop.scheduleTask(in: .nanoseconds(BufferKeeper.tickInterval)) {
      self.isScheduled = false
      if self.keeper.tick() { self.schedule() }
    }
  }
}

extension Channel {
  /// Bytes that were written, and that the system has not taken yet.
  package var unsentBytes: Int {
    (try? syncOptions?.getOption(ChannelOptions.bufferedWritableBytes)) ?? 0
  }
}
