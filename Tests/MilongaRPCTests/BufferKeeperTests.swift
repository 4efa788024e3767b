import MilongaRPC
import Testing

/// Time and connections are the tests' own.
@Suite struct BufferKeeperTests {
  @Test func `what is within the limit concerns nobody`() {
    let world = World(limit: 100 * mega)
    let all = (0..<10).map { _ in world.connection() }
    for connection in all { connection.hold(10 * mega) }
    #expect(!world.keeper.isOver)
    #expect(all.allSatisfy { !$0.mustWait })
    world.pass(seconds: 10)
    #expect(all.allSatisfy { $0.ended == nil })
    #expect(world.account.bytes == 100 * mega)
  }

  @Test func `beyond the limit those with the average or more are not read`() {
    let world = World(limit: 100 * mega)
    let large = (0..<10).map { _ in world.connection() }
    let small = world.connection()
    small.hold(mega)
    for connection in large { connection.hold(10 * mega) }
    #expect(world.keeper.isOver)
    #expect(large.allSatisfy { $0.mustWait })
    #expect(!small.mustWait)
    // One of them is served: there is room again, and all are told.
    large[3].hold(0)
    #expect(!world.keeper.isOver)
    #expect(large.allSatisfy { $0.isTold })
    #expect(large.allSatisfy { !$0.mustWait })
  }

  @Test func `the largest ends after two seconds without progress, and no sooner`() {
    let world = World(limit: 100 * mega)
    let all = (1...14).map { world.connection(holding: $0 * mega) }
    #expect(world.keeper.isOver)
    world.pass(seconds: 1.9)
    #expect(all.allSatisfy { $0.ended == nil })
    world.pass(seconds: 0.3)
    #expect(all.filter { $0.ended != nil }.map(\.bytes) == [14 * mega])
    #expect(all[13].ended!.contains("\(14 * mega) bytes"))
    #expect(all[13].ended!.contains("max_buffered_bytes"))
    #expect(!world.keeper.isOver)
    world.pass(seconds: 10)
    #expect(all.filter { $0.ended != nil }.count == 1)
  }

  @Test func `who reads lets all wait longer, who drips does not`() {
    let world = World(limit: 100 * mega)
    let all = (0..<11).map { _ in world.connection(holding: 10 * mega) }
    // 2 of the 10 MB that are too much in each second and a half: that is progress.
    for step in 1...4 {
      world.pass(seconds: 1.5)
      all[0].hold(10 * mega - step * 2 * mega)
      #expect(all.allSatisfy { $0.ended == nil })
    }
    // A byte now and then is none.
    for step in 1...6 {
      world.pass(seconds: 0.5)
      all[0].hold(2 * mega - step)
    }
    #expect(all.filter { $0.ended != nil }.count == 1)
    #expect(all[0].ended == nil)
  }

  @Test func `a quarter beyond the limit nobody is waited for`() {
    let world = World(limit: 100 * mega)
    let all = (0..<30).map { _ in world.connection() }
    for connection in all {
      connection.hold(12 * mega)
      #expect(world.account.bytes <= 125 * mega)
    }
    #expect(all.filter { $0.ended != nil }.count == 20)
  }

  @Test func `one alone may have a message that is larger than the limit`() {
    let world = World(limit: mega, frameBytes: 50 * mega)
    #expect(world.keeper.share == 50 * mega)
    let large = world.connection(holding: 50 * mega)
    let small = world.connection(holding: 1000)
    #expect(!large.mustWait && !small.mustWait)
    world.pass(seconds: 10)
    #expect(large.ended == nil && small.ended == nil)
    let other = world.connection(holding: 50 * mega)
    #expect(large.ended != nil || other.ended != nil)
  }

  @Test func `one alone may not have more than that`() {
    let world = World(limit: 100 * mega)
    let hog = world.connection(holding: 99 * mega)
    #expect(hog.ended == nil)
    hog.hold(126 * mega)
    #expect(hog.ended != nil)
  }

  @Test func `a share is a quarter, or a message`() {
    #expect(World(limit: 100, frameBytes: 10).keeper.share == 25)
    #expect(World(limit: 100, frameBytes: 30).keeper.share == 30)
  }

  @Test func `a call that runs counts, but to end its connection would free nothing`() {
    let world = World(limit: 100 * mega)
    let busy = (0..<10).map { _ in world.connection(holding: 0, serving: 10 * mega) }
    let other = world.connection(holding: 5 * mega)
    #expect(world.keeper.isOver)
    world.pass(seconds: 2.5)
    #expect(busy.allSatisfy { $0.ended == nil })
    #expect(other.ended != nil)
    // Its connection has ended, but not its call.
    busy[0].end()
    #expect(world.account.bytes == 90 * mega)
  }

  @Test func `many small ones are too much, too`() {
    let world = World(limit: 100 * mega)
    let all = (0..<10_000).map { _ in world.connection(holding: 16 << 10) }
    #expect(world.account.bytes <= 125 * mega)
    #expect(all.contains { $0.ended != nil })
    for connection in all where connection.ended == nil { connection.hold(0) }
    #expect(world.account.bytes == 0)
    #expect(world.keeper.count == 0)
  }

  @Test func `a smaller limit counts only those who have it`() {
    let account = BufferAccount()
    let small = World(limit: 10 * mega, account: account)
    let large = World(limit: 100 * mega, account: account)
    let guests = (0..<9).map { _ in large.connection(holding: 10 * mega) }
    let own = small.connection(holding: mega)
    #expect(!small.keeper.isOver && !large.keeper.isOver)
    // What the small one's have counts for the large one, too.
    let more = (0..<8).map { _ in small.connection(holding: mega) }
    #expect(!small.keeper.isOver)
    let last = large.connection(holding: 5 * mega)
    #expect(large.keeper.isOver)
    large.pass(seconds: 2.5)
    #expect(guests.filter { $0.ended != nil }.count == 1)
    #expect(own.ended == nil && last.ended == nil && more.allSatisfy { $0.ended == nil })
  }

  @Test func `the largest of another thread is asked to go`() {
    let account = BufferAccount()
    let here = World(limit: 100 * mega, account: account)
    let there = World(limit: 100 * mega, account: account)
    let hog = there.connection(holding: 60 * mega)
    let others = (0..<5).map { _ in here.connection(holding: 10 * mega) }
    #expect(here.keeper.isOver)
    here.pass(seconds: 2.5)
    // Its own thread does it.
    #expect(hog.ended == nil && others.allSatisfy { $0.ended == nil })
    there.pass(seconds: 0.25)
    #expect(hog.ended != nil)
    here.pass(seconds: 0.25)
    #expect(!here.keeper.isOver)
    #expect(others.allSatisfy { $0.ended == nil })
  }

  @Test func `one thread does not wait for another one that is busy`() {
    let account = BufferAccount()
    let here = World(limit: 100 * mega, account: account)
    let busy = World(limit: 100 * mega, account: account)
    let hog = busy.connection(holding: 60 * mega)
    let others = (0..<20).map { _ in here.connection(holding: 10 * mega) }
    #expect(account.bytes <= 150 * mega)
    #expect(hog.ended == nil && others.contains { $0.ended != nil })
  }

  @Test func `ticks are wanted only while something large is held`() {
    let world = World(limit: 100 * mega)
    let connection = world.connection()
    connection.hold(1000)
    #expect(world.starts == 0)
    connection.hold(mega)
    #expect(world.starts == 1)
    #expect(world.keeper.tick())
    connection.hold(0)
    #expect(!world.keeper.tick())
    connection.hold(mega)
    #expect(world.starts == 2)
  }

  @Test func `those who are not told of what the peer reads are asked`() {
    let world = World(limit: 100 * mega)
    let connection = world.connection(holding: mega, asksToCount: true)
    connection.next = mega / 2
    world.pass(seconds: 0.25)
    #expect(world.account.bytes == mega / 2)
  }

  @Test func `when memory cannot be had the largest makes room`() {
    let world = World(limit: 100 * mega)
    #expect(!world.keeper.makeRoom())
    let all = [3, 9, 5].map { world.connection(holding: $0 * mega) }
    #expect(world.keeper.makeRoom())
    #expect(all.map { $0.ended != nil } == [false, true, false])
    #expect(all[1].ended!.contains("no memory"))
  }

  @Test func `the sums are right after any changes`() {
    var random = SystemRandomNumberGenerator()
    let world = World(limit: 1 << 40)
    let all = (0..<200).map { _ in world.connection() }
    for _ in 0..<20_000 {
      let connection = all.randomElement(using: &random)!
      connection.hold(.random(in: 0...(8 * mega), using: &random))
    }
    let held = all.map(\.bytes)
    #expect(world.keeper.count == held.count { $0 > 0 })
    #expect(abs(world.account.bytes - held.reduce(0, +)) < BufferKeeper.largeMessage)
    // They go from the largest to the smallest.
    var last = Int.max
    for _ in held where world.keeper.makeRoom() {
      let gone = all.filter { $0.ended != nil && !$0.isCounted }
      #expect(gone.count == 1 && gone[0].bytes <= last)
      last = gone[0].bytes
      gone[0].isCounted = true
    }
    #expect(world.keeper.count == 0 && world.account.bytes == 0)
  }
}

private let mega = 1 << 20

/// A keeper with a clock that is set by hand.
private final class World {
  let account: BufferAccount
  let keeper: BufferKeeper
  var starts = 0
  private let time = Time()

  private final class Time { var now: Int64 = 1 }

  init(limit: Int, frameBytes: Int = 16 << 20, account: BufferAccount = BufferAccount()) {
    self.account = account
    var limits = RPCLimits()
    (limits.maxBufferedBytes, limits.frameBytes) = (limit, frameBytes)
    keeper = BufferKeeper(limits, account: account, clock: { [time] in time.now })
    keeper.startTicking = { [unowned self] in starts += 1 }
  }

  func connection(
    holding bytes: Int = 0, serving: Int = 0, asksToCount: Bool = false
  ) -> Connection {
    let connection = Connection(keeper, asksToCount: asksToCount)
    connection.hold(bytes, serving: serving)
    return connection
  }

  func pass(seconds: Double) {
    var rest = Int64(seconds * 1e9)
    while rest > 0 {
      let step = min(rest, BufferKeeper.tickInterval)
      time.now += step
      rest -= step
      _ = keeper.tick()
    }
  }
}

private final class Connection: BufferHolding {
  private let keeper: BufferKeeper
  private(set) var holder: BufferHolder!
  /// What it held last.
  private(set) var bytes = 0
  private var serving = 0
  private(set) var ended: String?
  private(set) var isTold = false
  /// What it holds when it is asked.
  var next: Int?
  var isCounted = false

  init(_ keeper: BufferKeeper, asksToCount: Bool) {
    self.keeper = keeper
    holder = BufferHolder(self, asksToCount: asksToCount)
  }

  deinit { keeper.remove(holder) }

  var mustWait: Bool { keeper.mustWait(holder) }

  func hold(_ bytes: Int, serving: Int = 0) {
    guard ended == nil else { return }
    (self.bytes, self.serving) = (bytes, serving)
    keeper.set(holder, bytes: bytes, serving: serving)
  }

  func end() { keeper.remove(holder) }

  func endForMemory(_ reason: String) {
    ended = reason
    keeper.set(holder, bytes: 0, serving: serving)
  }

  func mayReadAgain() { isTold = true }

  func countAgain() { if let next { hold(next) } }
}
