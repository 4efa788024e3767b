import CMilongaShims
import Glibc
import Synchronization

/// Brings descriptors with high numbers to children that begin with a copy of the low ones only.
///
/// See `CShims/spawn.c`. There is one relay for the process, used by one thread at a time.
struct SpawnRelay {
  /// Up to this number copying the parent's table is cheaper.
  private static let lowest: Int32 = 512

  private struct Ends {
    var sender: Int32 = -1
    var receiver: Int32 = -1
    /// Whose they are: a process that was forked off has the same ones, and needs its own.
    var owner: Int32 = 0

    mutating func make() {
      guard owner != getpid() else { return }
      if owner != 0 {
        close(sender)
        close(receiver)
      }
      (sender, receiver) = (-1, -1)
      if milonga_make_relay(&sender, &receiver) == 0 { owner = getpid() }
    }
  }

  private static let ends = Mutex(Ends())

  /// Makes the relay, if there is none yet. The earlier, the lower are its numbers.
  static func prepare() {
    ends.withLock { $0.make() }
  }

  /// What the child has to know.
  var receiver: Int32 = -1
  var count: Int32 = 0
  var place: Int32 = 0
  /// The map with the places that the descriptors have once the child has taken them.
  let descriptors: DescriptorMap
  /// A number above all of the parent's descriptors that the child begins with.
  let firstUnused: Int32

  private init(_ descriptors: DescriptorMap) {
    self.descriptors = descriptors
    firstUnused = descriptors.firstUnused
  }

  private init(_ descriptors: DescriptorMap, relayed: [Int32], receiver: Int32) {
    let low = descriptors.entries.map(\.parent).filter { $0 < Self.lowest }
    let start = max(low.max() ?? -1, receiver) + 1
    self.receiver = receiver
    count = Int32(relayed.count)
    // Above what the child begins with, what it gets, and what it is to have in the end.
    place = max(start + count, (descriptors.entries.last?.child ?? 0) + 1)
    firstUnused = start
    let places = zip(relayed, place...).map { ($0, $1) }
    self.descriptors = descriptors.moving(Dictionary(uniqueKeysWithValues: places))
  }

  /// Runs `body`, which starts a child, with the high descriptors in the relay if that can be done.
  static func with<Result>(
    _ descriptors: DescriptorMap, _ body: (SpawnRelay) -> Result
  ) -> Result {
    let relayed = Set(descriptors.entries.map(\.parent).filter { $0 >= lowest }).sorted()
    guard !relayed.isEmpty else { return body(SpawnRelay(descriptors)) }
    return ends.withLock { ends in
      ends.make()
      guard ends.receiver >= 0, ends.receiver < lowest else {
        return body(SpawnRelay(descriptors))
      }
      defer { milonga_clear_relay(ends.receiver) }
      let relay = SpawnRelay(descriptors, relayed: relayed, receiver: ends.receiver)
      guard Int(relay.place) + relayed.count < descriptorLimit(),
        milonga_relay(ends.sender, relayed, Int32(relayed.count)) == 0
      else { return body(SpawnRelay(descriptors)) }
      return body(relay)
    }
  }

  /// How many descriptors the process may have.
  private static func descriptorLimit() -> Int {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return Int(clamping: limit.rlim_cur)
  }
}
