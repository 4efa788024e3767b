/// Counts what the peers of one server hold on one thread, and sees to it that all of the process
/// together do not hold more than the limit.
///
/// A connection tells what it holds when it begins to wait while it holds something, and when it no
/// longer holds anything. While all hold too much, a connection that holds as much as the average,
/// or more, is not read (``mustWait(_:)``). When the sum does not become less for 2 s, or is more
/// than the limit and a quarter of it, the connection that holds the most is disconnected.
///
/// It has no clock and no timers: its owner gives it a clock, and calls ``tick()`` as long as
/// ``tick()`` asks for that.
public final class BufferKeeper {
  /// Bytes that all may hold.
  public let limit: Int
  /// Bytes that one connection may hold: a quarter of all, and in any case a whole message.
  public let share: Int

  private let account: BufferAccount
  private let setting: StaticString
  private let clock: () -> Int64
  private let wake: (@Sendable () -> Void)?
  private var member: BufferAccount.MemberID?
  private var heap = HolderHeap()
  private var paused: [BufferHolder] = []
  private var bytes = 0
  private var toldBytes = 0
  private var isTicking = false
  private var verdict = BufferAccount.Verdict()

  /// Called when ``tick()`` is wanted from now on, every ``tickInterval``.
  public var startTicking: () -> Void = {}

  /// Nanoseconds from one ``tick()`` to the next.
  public static let tickInterval: Int64 = 250_000_000

  /// Bytes from which on a message is large: until then a connection that reads or answers at once
  /// has nothing to tell.
  public static let largeMessage = 64 << 10

  /// - Parameters:
  ///   - limits: what peers may hold in all, and the longest message.
  ///   - setting: what users call the limit, for messages.
  ///   - clock: gives nanoseconds that do not go backwards.
  ///   - wake: asks for a ``tick()`` from any thread; nil when the next one is soon enough.
  public init(
    _ limits: RPCLimits, account: BufferAccount = .process,
    setting: StaticString = "max_buffered_bytes",
    wake: (@Sendable () -> Void)? = nil, clock: @escaping () -> Int64
  ) {
    limit = limits.maxBufferedBytes
    share = max(limit / 4, limits.frameBytes)
    self.account = account
    self.setting = setting
    self.wake = wake
    self.clock = clock
  }

  deinit {
    if let member { account.leave(member) }
  }

  /// Whether all of the process together hold too much, as far as is known.
  public var isOver: Bool { verdict.isOver }

  /// Connections that hold something.
  public var count: Int { heap.holders.count }

  // MARK: Holders

  /// Says what a connection holds now. It, or another one, may be disconnected before this returns.
  ///
  /// - Parameter serving: the part that its end would not free, because a call of it is being
  ///   carried out.
  public func set(_ holder: BufferHolder, bytes: Int, serving: Int = 0) {
    let change = bytes + serving - holder.total
    holder.bytes = bytes
    holder.serving = serving
    if holder.total == 0 {
      if holder.place >= 0 { heap.remove(holder) }
    } else if holder.place < 0 {
      heap.insert(holder)
    } else {
      heap.moved(holder)
    }
    changed(by: change)
  }

  /// The connection has ended. Says no more about others than ``set(_:bytes:serving:)``.
  public func remove(_ holder: BufferHolder) {
    if holder.isPaused {
      holder.isPaused = false
      paused.removeAll { $0 === holder }
    }
    if holder.place >= 0 { set(holder, bytes: 0) }
  }

  private func changed(by change: Int) {
    bytes += change
    if change != 0, verdict.isOver || abs(bytes - toldBytes) >= grain { tell() }
    if wantsTicks, !isTicking {
      isTicking = true
      startTicking()
    }
  }

  /// Less than that is not told at once.
  private var grain: Int { max(1, min(Self.largeMessage, limit / 64)) }

  /// Whether the connection is not to be read on for now. If so it is told when it may.
  public func mustWait(_ holder: BufferHolder) -> Bool {
    guard verdict.isOver, holder.total >= verdict.fairShare else { return false }
    if !holder.isPaused {
      holder.isPaused = true
      paused.append(holder)
    }
    return true
  }

  /// Memory could not be had: ends the connection that has the most.
  ///
  /// - Returns: false when there is none.
  public func makeRoom() -> Bool {
    guard let largest = heap.largest, largest.bytes > 0 else { return false }
    end(largest, "it holds \(largest.bytes) bytes, and there is no memory left")
    if member != nil { tell() }
    return true
  }

  // MARK: What follows

  /// Looks again. Whether it is to be called again.
  public func tick() -> Bool {
    for holder in heap.holders where holder.asksToCount && holder.place >= 0 {
      holder.connection.countAgain()
    }
    if member != nil || bytes > 0 { tell() }
    isTicking = wantsTicks
    return isTicking
  }

  /// Whatever called ``tick()`` is gone, though it was still wanted.
  public func ticksEnded() {
    isTicking = false
  }

  private var wantsTicks: Bool {
    verdict.isOver && bytes > 0 || !paused.isEmpty
      || (heap.largest?.bytes ?? 0) > min(Self.largeMessage, limit / 64)
  }

  /// Tells the account, and does as it says.
  private func tell() {
    repeat {
      let id = member ?? account.join(limit: limit, wake: wake)
      member = id
      toldBytes = bytes
      let largest = heap.largest?.bytes ?? 0
      let sums = BufferAccount.Sums(
        bytes: bytes, holders: heap.holders.count, largest: largest,
        // The memory for a message may be up to twice as large.
        exempt: min(largest, 2 * share))
      verdict = account.tell(id, sums, now: clock())
    } while verdict.evicts && endLargest()
    if bytes == 0, let id = member {
      account.leave(id)
      member = nil
      toldBytes = 0
      verdict = BufferAccount.Verdict()
    }
    if !verdict.isOver, !paused.isEmpty { goOn() }
  }

  private func endLargest() -> Bool {
    guard let largest = heap.largest, largest.bytes > 0 else { return false }
    end(
      largest,
      "it holds \(largest.bytes) bytes, the most of all peers, which hold more than \(limit) bytes "
        + "together (\(setting))")
    return true
  }

  private func end(_ holder: BufferHolder, _ reason: String) {
    bytes -= holder.bytes
    holder.bytes = 0
    if holder.serving == 0 { heap.remove(holder) } else { heap.moved(holder) }
    holder.connection.endForMemory(reason)
  }

  private func goOn() {
    let all = paused
    paused = []
    for holder in all {
      holder.isPaused = false
      holder.connection.mayReadAgain()
    }
  }
}
