import NIOConcurrencyHelpers

/// Something that happens once, and for which several may wait.
public final class Gate: Sendable {
  private let state = NIOLockedValueBox(
    (isOpen: false, waiting: [CheckedContinuation<Void, Never>]()))

  public init() {}

  public var isOpen: Bool { state.withLockedValue { $0.isOpen } }

  public func open() {
    let waiting = state.withLockedValue { state in
      defer { state = (true, []) }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  public func pass() async {
    await withCheckedContinuation { continuation in
      let isOpen = state.withLockedValue { state in
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }
}

/// A counter; tasks can wait until it has reached a number.
public final class Tally: Sendable {
  private let state = NIOLockedValueBox(
    (count: 0, waiting: [(Int, CheckedContinuation<Void, Never>)]()))

  public init() {}

  public var count: Int { state.withLockedValue { $0.count } }

  public func add(_ amount: Int = 1) {
    let reached = state.withLockedValue { state in
      state.count += amount
      let count = state.count
      let reached = state.waiting.filter { $0.0 <= count }
      state.waiting.removeAll { $0.0 <= count }
      return reached
    }
    for (_, continuation) in reached { continuation.resume() }
  }

  public func reach(_ count: Int) async {
    await withCheckedContinuation { continuation in
      let isThere = state.withLockedValue { state in
        if state.count < count { state.waiting.append((count, continuation)) }
        return state.count >= count
      }
      if isThere { continuation.resume() }
    }
  }
}
