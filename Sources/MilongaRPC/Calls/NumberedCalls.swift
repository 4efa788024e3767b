/// The calls that await their answers, by their sequence numbers, which come in any order.
///
/// A call that was abandoned keeps its number until its answer comes, which must not be taken for
/// that of another call.
public struct NumberedCalls<Caller> {
  /// How many calls may await their answers: as many as there are numbers.
  public static var limit: Int { 256 }

  @usableFromInline
  struct Call {
    @usableFromInline let number: UInt8
    /// nil when it was abandoned.
    @usableFromInline var caller: Caller?

    @inlinable
    init(number: UInt8, caller: Caller) {
      self.number = number
      self.caller = caller
    }
  }

  // Number n is at n modulo the size, a power of two. As long as no two calls meet there, few
  // places are enough for a connection.
  @usableFromInline var places: ContiguousArray<Call?> = []
  @usableFromInline var next: UInt8 = 0

  @usableFromInline var total = 0

  /// How many answers are to come, those of abandoned calls included.
  @inlinable
  public var count: Int { total }

  /// No calls.
  @inlinable
  public init() {}

  /// Whether a caller waits for an answer: the callers of abandoned calls do not.
  @inlinable
  public var isAwaited: Bool { places.contains { $0?.caller != nil } }

  /// Adds a call.
  ///
  /// - Returns: its sequence number: the one after that of the call before, or the next that is
  ///   free; nil when all are in use.
  @inlinable
  public mutating func add(_ caller: Caller) -> UInt8? {
    guard total < Self.limit else { return nil }
    while true {
      if places.isEmpty || places[slot(next)] != nil && places[slot(next)]!.number != next {
        grow()
      } else if places[slot(next)] != nil {
        next &+= 1
      } else {
        break
      }
    }
    places[slot(next)] = Call(number: next, caller: caller)
    total += 1
    defer { next &+= 1 }
    return next
  }

  /// Takes the call whose answer has come.
  @inlinable
  public mutating func take(_ number: UInt8) -> CallMatch<Caller> {
    guard !places.isEmpty, let call = places[slot(number)], call.number == number else {
      return .none
    }
    places[slot(number)] = nil
    total -= 1
    guard let caller = call.caller else { return .abandoned }
    return .caller(caller)
  }

  /// Gives up on a call; its number is free when its answer has come.
  @inlinable
  public mutating func abandon(_ number: UInt8) {
    guard !places.isEmpty, places[slot(number)]?.number == number else { return }
    places[slot(number)]?.caller = nil
  }

  /// Gives up on the calls of the callers that `isMeant` picks.
  @inlinable
  public mutating func abandon(where isMeant: (Caller) -> Bool) {
    for index in places.indices {
      if let caller = places[index]?.caller, isMeant(caller) { places[index]?.caller = nil }
    }
  }

  /// Ends all calls, because the connection did.
  ///
  /// - Returns: The callers that still wait.
  @inlinable
  public mutating func failAll() -> [Caller] {
    let callers = places.compactMap { $0?.caller }
    places = []
    total = 0
    return callers
  }

  @inlinable
  func slot(_ number: UInt8) -> Int { Int(number) & (places.count - 1) }

  @inlinable
  mutating func grow() {
    let old = places
    places = ContiguousArray(repeating: nil, count: max(8, old.count * 2))
    for call in old {
      if let call { places[slot(call.number)] = call }
    }
  }
}

extension NumberedCalls: Sendable where Caller: Sendable {}
extension NumberedCalls.Call: Sendable where Caller: Sendable {}
