import Synchronization

/// What peers make a process hold: bytes received and not yet served, and answers not yet read.
///
/// Each ``BufferKeeper`` counts for one thread and one limit, and tells its sum here when that has
/// changed by something that matters. So a message costs no lock. The account says whether all
/// together are too much, and whose largest holder has to go.
///
/// A limit counts the keepers with the same or a smaller limit. So a server with a small limit
/// neither suffers from one with a large limit, nor adds to what that may hold.
public final class BufferAccount: Sendable {
  /// That of the process.
  public static let process = BufferAccount()

  /// Bytes that peers may hold together, unless told otherwise.
  public static let defaultLimit = 256 << 20

  /// Nanoseconds without progress after which the largest holder has to go.
  public static let patience: Int64 = 2_000_000_000

  /// What a keeper has.
  struct Sums: Equatable {
    /// Bytes in all.
    var bytes = 0
    var holders = 0
    /// Bytes that the end of its largest holder would free; 0 when none would free any.
    var largest = 0
    /// Bytes that one alone may have, however small the limit is.
    var exempt = 0
  }

  /// What a keeper is to do.
  struct Verdict: Equatable {
    /// All together hold more than the limit.
    var isOver = false
    /// Bytes of the average holder. A holder of as many, or more, is not read while all hold too
    /// much.
    var fairShare = Int.max
    /// Its largest holder has to go, and then it has to ask again.
    var evicts = false
  }

  struct MemberID: Hashable { fileprivate let index: Int }

  fileprivate struct Member {
    let limit: Int
    let wake: (@Sendable () -> Void)?
    var sums = Sums()
    var mustEvict = false
  }

  /// How long a limit has been exceeded.
  fileprivate struct Watch {
    /// The least that was held since the last progress.
    var mark: Int
    var deadline: Int64
  }

  fileprivate struct Shared {
    var members: [Member?] = []
    /// By their limits.
    var watches: [Int: Watch] = [:]
  }

  private let shared = Mutex(Shared())

  /// An account of its own, for tests.
  public init() {}

  /// Bytes that keepers have told of, with all limits.
  public var bytes: Int {
    shared.withLock { shared in shared.members.reduce(0) { $0 + ($1?.sums.bytes ?? 0) } }
  }

  /// - Parameter wake: asks the keeper, from any thread, to tell its sums soon.
  func join(limit: Int, wake: (@Sendable () -> Void)?) -> MemberID {
    shared.withLock { shared in
      let member = Member(limit: limit, wake: wake)
      if let free = shared.members.firstIndex(where: { $0 == nil }) {
        shared.members[free] = member
        return MemberID(index: free)
      }
      shared.members.append(member)
      return MemberID(index: shared.members.count - 1)
    }
  }

  func leave(_ id: MemberID) {
    shared.withLock { shared in
      shared.members[id.index] = nil
      while let last = shared.members.last, last == nil { shared.members.removeLast() }
      shared.endWatches()
    }
  }

  /// Tells what a keeper has now.
  func tell(_ id: MemberID, _ sums: Sums, now: Int64) -> Verdict {
    let (verdict, woken) = shared.withLock { shared in
      shared.members[id.index]!.sums = sums
      return shared.judge(id.index, now)
    }
    for wake in woken { wake() }
    return verdict
  }
}

extension BufferAccount.Shared {
  /// Looks at each limit that counts the keeper.
  fileprivate mutating func judge(
    _ asking: Int, _ now: Int64
  ) -> (BufferAccount.Verdict, woken: [@Sendable () -> Void]) {
    var verdict = BufferAccount.Verdict()
    var woken: [@Sendable () -> Void] = []
    let own = members[asking]!.limit
    for limit in Set(members.compactMap { $0?.limit }) where limit >= own {
      let all = sums(limit)
      let most = most(limit, all)
      guard all.bytes > most else {
        watches[limit] = nil
        continue
      }
      verdict.isOver = true
      verdict.fairShare = min(verdict.fairShare, all.bytes / max(all.holders, 1))
      guard isDue(limit, all.bytes, isFar: all.bytes > most + limit / 4, now),
        let victim = memberWithLargest(limit)
      else { continue }
      members[victim]!.mustEvict = true
      guard victim != asking else { continue }
      if let wake = members[victim]!.wake { woken.append(wake) }
      // Its thread may be busy for long. Then others have to go.
      if all.bytes > most + limit / 2 { members[asking]!.mustEvict = true }
    }
    verdict.evicts = members[asking]!.mustEvict
    members[asking]!.mustEvict = false
    return (verdict, woken)
  }

  private func sums(_ limit: Int) -> BufferAccount.Sums {
    var all = BufferAccount.Sums()
    for case let member? in members where member.limit <= limit {
      all.bytes += member.sums.bytes
      all.holders += member.sums.holders
      all.largest = max(all.largest, member.sums.largest)
      all.exempt = max(all.exempt, member.sums.exempt)
    }
    return all
  }

  /// Ends the watches of limits that are no longer exceeded.
  fileprivate mutating func endWatches() {
    for limit in watches.keys {
      let all = sums(limit)
      if all.bytes <= most(limit, all) { watches[limit] = nil }
    }
  }

  /// One alone may always have a whole message, however small the limit is.
  private func most(_ limit: Int, _ all: BufferAccount.Sums) -> Int {
    max(limit, all.exempt + limit / 4)
  }

  private func memberWithLargest(_ limit: Int) -> Int? {
    var found: Int?
    for (index, member) in members.enumerated() {
      guard let member, member.limit <= limit, member.sums.largest > 0 else { continue }
      if found == nil || member.sums.largest > members[found!]!.sums.largest { found = index }
    }
    return found
  }

  /// Whether a holder has to go now. Progress means that all together hold less than before, by an
  /// amount that matters. A peer that reads a byte now and then makes no progress.
  private mutating func isDue(_ limit: Int, _ bytes: Int, isFar: Bool, _ now: Int64) -> Bool {
    let fresh = BufferAccount.Watch(mark: bytes, deadline: now + BufferAccount.patience)
    guard let watch = watches[limit], bytes > watch.mark - max(1, limit / 64) else {
      watches[limit] = fresh
      return isFar
    }
    guard isFar || now >= watch.deadline else { return false }
    watches[limit] = fresh
    return true
  }
}
