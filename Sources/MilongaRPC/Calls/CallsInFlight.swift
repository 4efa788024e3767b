/// The calls of a client that await their answers, which come in the order of the calls.
///
/// A call that was abandoned, because it timed out or was cancelled, keeps its turn: its answer
/// still comes, and must not be taken for that of the next call.
///
/// There is no clock in here. Deadlines are nanoseconds of the clock that the owner uses.
public struct CallsInFlight<Caller> {
  /// Names a call, so that it can be abandoned.
  public struct ID: Sendable, Hashable {
    /// Calls are numbered in the order in which they are sent.
    public let number: UInt64

    /// The call with this number.
    @inlinable public init(number: UInt64) { self.number = number }
  }

  @usableFromInline
  struct Call {
    @usableFromInline var caller: Caller?
    @usableFromInline var deadline: Int64

    @inlinable
    init(caller: Caller?, deadline: Int64) {
      self.caller = caller
      self.deadline = deadline
    }
  }

  // A ring: call number n is at n modulo the size, which is a power of two.
  @usableFromInline var ring: ContiguousArray<Call> = []
  @usableFromInline var first: UInt64 = 0
  @usableFromInline var end: UInt64 = 0
  @usableFromInline var soonest = Int64.max

  /// How many calls may await their answers.
  public let limit: Int

  /// No calls; see ``RPCLimits/callsInFlight``.
  @inlinable
  public init(limit: Int = RPCLimits().callsInFlight) { self.limit = limit }

  /// How many answers are to come, those of abandoned calls included.
  @inlinable public var count: Int { Int(end &- first) }

  /// A time before which no deadline passes, or nil when none was set.
  ///
  /// Calls that are answered leave it as it is, which costs them nothing. So it may be too early,
  /// and then ``expire(now:)`` finds nothing and sets it right.
  @inlinable
  public var earliestDeadline: Int64? { soonest == .max ? nil : soonest }

  /// Adds a call that was just sent, or is about to be.
  ///
  /// - Parameters:
  ///   - caller: The one that awaits the answer.
  ///   - deadline: When it gives up, in nanoseconds; nil for never.
  /// - Returns: The call's id, or nil when ``limit`` calls are in flight: it must wait its turn.
  @inlinable
  public mutating func add(_ caller: Caller, deadline: Int64? = nil) -> ID? {
    guard count < limit else { return nil }
    if count == ring.count { grow() }
    ring[slot(end)] = Call(caller: caller, deadline: deadline ?? .max)
    soonest = min(soonest, deadline ?? .max)
    defer { end &+= 1 }
    return ID(number: end)
  }

  /// Takes the call whose answer has come: the oldest one.
  @inlinable
  public mutating func next() -> CallMatch<Caller> {
    guard first != end else { return .none }
    let slot = slot(first)
    first &+= 1
    if first == end { soonest = .max }
    guard let caller = ring[slot].caller.take() else { return .abandoned }
    return .caller(caller)
  }

  /// The caller whose answer comes next; nil when that call was abandoned, or there is none.
  @inlinable public var oldest: Caller? { first == end ? nil : ring[slot(first)].caller }

  /// The oldest call's caller for which this is true; nil when there is none.
  @inlinable
  public func first(where isMeant: (Caller) -> Bool) -> Caller? {
    for number in first..<end {
      if let caller = ring[slot(number)].caller, isMeant(caller) { return caller }
    }
    return nil
  }

  /// Gives up on a call, and returns its caller; nil when it was answered or given up before.
  @inlinable
  public mutating func abandon(_ id: ID) -> Caller? {
    guard id.number &- first < end &- first else { return nil }
    return ring[slot(id.number)].caller.take()
  }

  /// Gives up on the calls of the callers that `isMeant` picks.
  public mutating func abandon(where isMeant: (Caller) -> Bool) {
    for number in first..<end {
      if let caller = ring[slot(number)].caller, isMeant(caller) {
        ring[slot(number)].caller = nil
      }
    }
  }

  /// Gives up on all calls whose deadline is not after `now`.
  ///
  /// - Returns: Their callers, oldest first.
  public mutating func expire(now: Int64) -> [Caller] {
    guard soonest <= now else { return [] }
    var expired: [Caller] = []
    soonest = .max
    for number in first..<end where ring[slot(number)].caller != nil {
      if ring[slot(number)].deadline <= now {
        expired.append(ring[slot(number)].caller.take()!)
      } else {
        soonest = min(soonest, ring[slot(number)].deadline)
      }
    }
    return expired
  }

  /// Ends all calls, because the connection did.
  ///
  /// - Returns: The callers that still wait, oldest first.
  public mutating func failAll() -> [Caller] {
    let callers = (first..<end).compactMap { ring[slot($0)].caller }
    ring = []
    first = end
    soonest = .max
    return callers
  }

  @inlinable
  func slot(_ number: UInt64) -> Int { Int(number & UInt64(ring.count &- 1)) }

  @usableFromInline
  mutating func grow() {
    var larger = ContiguousArray<Call>()
    let size = max(2 * ring.count, 8)
    larger.reserveCapacity(size)
    // Slot i of the new ring is for the number in first..<first+size that is i modulo its size.
    for index in 0..<UInt64(size) {
      let number = first &+ ((index &- first) & UInt64(size - 1))
      larger.append(number < end ? ring[slot(number)] : Call(caller: nil, deadline: .max))
    }
    ring = larger
  }
}

extension CallsInFlight: Sendable where Caller: Sendable {}
extension CallsInFlight.Call: Sendable where Caller: Sendable {}
