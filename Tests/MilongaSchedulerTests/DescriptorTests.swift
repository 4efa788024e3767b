import MilongaScheduler
import Testing

@Suite struct DescriptorTests {
  let scheduler = Scheduler()

  // MARK: Readiness

  @Test func `a watched descriptor is ready until it is found not to be`() {
    let generation = scheduler.watch(5)
    #expect(scheduler.isWatched(5))
    #expect(scheduler.isReady(5, .read) && scheduler.isReady(5, .write))
    scheduler.markUnready(5, .read)
    #expect(!scheduler.isReady(5, .read) && scheduler.isReady(5, .write))
    scheduler.markUnready(5, .write)
    #expect(!scheduler.isReady(5, .read) && !scheduler.isReady(5, .write))
    scheduler.notify(5, generation, .write)
    #expect(!scheduler.isReady(5, .read) && scheduler.isReady(5, .write))
    scheduler.notify(5, generation, .read)
    #expect(scheduler.isReady(5, .read))
  }

  @Test(arguments: [-1, Int32.min, 0, 7, Int32.max])
  func `what is not watched counts as ready, has no waiters, and can be unwatched`(
    _ descriptor: Int32
  ) {
    _ = scheduler.watch(5)
    #expect(!scheduler.isWatched(descriptor))
    scheduler.markUnready(descriptor, .read)
    scheduler.markUnready(descriptor, .write)
    #expect(scheduler.isReady(descriptor, .read) && scheduler.isReady(descriptor, .write))
    #expect(!scheduler.hasWaiter(descriptor, .read) && !scheduler.hasWaiter(descriptor, .write))
    scheduler.unwatch(descriptor)
    scheduler.notify(descriptor, 1, .read, .write)
    #expect(scheduler.isWatched(5))
  }

  @Test func `after a hangup it is always worth to read, not to write`() {
    let generation = scheduler.watch(5)
    scheduler.markUnready(5, .read)
    scheduler.markUnready(5, .write)
    scheduler.notify(
      descriptor: 5, generation: generation, readable: false, writable: false, hangup: true)
    scheduler.markUnready(5, .read)
    #expect(scheduler.isReady(5, .read))
    #expect(!scheduler.isReady(5, .write))
    let again = scheduler.watch(5)
    scheduler.markUnready(5, .read)
    #expect(!scheduler.isReady(5, .read), "a new life begins without it")
    #expect(again != generation)
  }

  @Test func `a hangup alone gives readers a turn`() {
    let generation = scheduler.watch(5)
    let reader = scheduler.parked(on: 5, .read)
    let writer = scheduler.parked(on: 5, .write)
    scheduler.notify(
      descriptor: 5, generation: generation, readable: false, writable: false, hangup: true)
    #expect(scheduler.turns() == [Ran(reader, .ready)])
    #expect(scheduler.cancel(writer))
  }

  // MARK: Waiting

  @Test func `reader and writer are told apart`() {
    let generation = scheduler.watch(5)
    let reader = scheduler.parked(on: 5, .read)
    let writer = scheduler.parked(on: 5, .write)
    #expect(scheduler.waitingForDescriptor == 2)
    scheduler.notify(5, generation, .write)
    #expect(scheduler.turns() == [Ran(writer, .ready)])
    #expect(scheduler.hasWaiter(5, .read) && !scheduler.hasWaiter(5, .write))
    scheduler.notify(5, generation, .read)
    #expect(scheduler.turns() == [Ran(reader, .ready)])
    #expect(scheduler.waitingForDescriptor == 0)
  }

  @Test func `an event without waiters gives nobody a turn`() {
    let generation = scheduler.watch(5)
    scheduler.notify(5, generation, .read, .write)
    #expect(scheduler.turns() == [])
  }

  @Test(arguments: [Direction.read, .write])
  func `several waiters of one direction run in their order`(_ direction: Direction) {
    let generation = scheduler.watch(5)
    let other = scheduler.parked(on: 5, direction == .read ? .write : .read)
    let tasks = (0..<10).map { _ in scheduler.parked(on: 5, direction) }
    scheduler.notify(5, generation, direction)
    #expect(scheduler.turns() == tasks.map { Ran($0, .ready) })
    #expect(scheduler.waitingForDescriptor == 1)
    #expect(scheduler.cancel(other))
  }

  @Test func `order holds when those in front leave and others come`() {
    let generation = scheduler.watch(5)
    var tasks = (0..<4).map { _ in scheduler.parked(on: 5) }
    scheduler.cancel(tasks[0])
    tasks.append(scheduler.parked(on: 5))
    scheduler.cancel(tasks[2])
    tasks.append(scheduler.parked(on: 5))
    _ = scheduler.turns()
    scheduler.notify(5, generation, .read)
    #expect(scheduler.turns() == [1, 3, 4, 5].map { Ran(tasks[$0], .ready) })
    // The queue behind the slot is gone: both directions work as before.
    let reader = scheduler.parked(on: 5, .read)
    let writer = scheduler.parked(on: 5, .write)
    scheduler.notify(5, generation, .read, .write)
    #expect(scheduler.turns() == [Ran(reader, .ready), Ran(writer, .ready)])
  }

  @Test func `waiters of one direction overflowing do not hide those of the other`() {
    let generation = scheduler.watch(5)
    let writers = (0..<3).map { _ in scheduler.parked(on: 5, .write) }
    let readers = (0..<3).map { _ in scheduler.parked(on: 5, .read) }
    scheduler.notify(5, generation, .read)
    #expect(scheduler.turns() == readers.map { Ran($0, .ready) })
    scheduler.notify(5, generation, .write)
    #expect(scheduler.turns() == writers.map { Ran($0, .ready) })
  }

  @Test(.timeLimit(.minutes(1)))
  func `very many waiters on one descriptor are no burden`() {
    let generation = scheduler.watch(5)
    let tasks = (0..<30_000).map { scheduler.parked(on: 5, deadline: Int64(10 + $0)) }
    scheduler.expire(10 + 9999)
    #expect(scheduler.turns().count == 10_000)
    scheduler.notify(5, generation, .read)
    #expect(scheduler.turns().map(\.task) == Array(tasks[10_000...]))
  }

  // MARK: Lives of a descriptor

  @Test func `events of a former life are ignored`() {
    let old = scheduler.watch(5)
    scheduler.unwatch(5)
    let new = scheduler.watch(5)
    let task = scheduler.parked(on: 5)
    scheduler.markUnready(5, .read)
    scheduler.notify(5, old, .read, .write)
    scheduler.notify(
      descriptor: 5, generation: old, readable: true, writable: true, hangup: true)
    #expect(!scheduler.isReady(5, .read))
    #expect(scheduler.turns() == [])
    scheduler.notify(5, new, .read)
    #expect(scheduler.turns() == [Ran(task, .ready)])
  }

  @Test func `unwatching gives all who wait a turn`() {
    let generation = scheduler.watch(5)
    let readers = (0..<3).map { _ in scheduler.parked(on: 5, .read, deadline: 10) }
    let writers = (0..<3).map { _ in scheduler.parked(on: 5, .write) }
    let other = scheduler.parked(on: 6)
    scheduler.markUnready(5, .read)
    scheduler.unwatch(5)
    #expect(!scheduler.isWatched(5))
    #expect(scheduler.isReady(5, .read), "whoever tries will find out")
    scheduler.notify(5, generation, .read, .write)
    scheduler.expire(10)
    #expect(scheduler.turns() == (readers + writers).map { Ran($0, .ready) })
    #expect(scheduler.waitingForDescriptor == 1)
    scheduler.unwatch(5)
    #expect(scheduler.turns() == [])
    #expect(scheduler.cancel(other))
  }

  @Test func `who waits before the descriptor is watched is not forgotten`() {
    let early = (0..<3).map { _ in scheduler.parked(on: 5) }
    let generation = scheduler.watch(5)
    let late = scheduler.parked(on: 5)
    scheduler.notify(5, generation, .read)
    #expect(scheduler.turns() == (early + [late]).map { Ran($0, .ready) })
  }

  @Test func `who waits for what nobody watches is found by unwatching`() {
    let task = scheduler.parked(on: 5)
    scheduler.unwatch(5)
    #expect(scheduler.turns() == [Ran(task, .ready)])
  }

  @Test func `numbers of descriptors need not be close together`() {
    let few = scheduler.watch(3)
    let many = scheduler.watch(100_000)
    let tasks = [scheduler.parked(on: 100_000), scheduler.parked(on: 3)]
    scheduler.notify(3, few, .read)
    scheduler.notify(100_000, many, .read)
    #expect(scheduler.turns() == tasks.reversed().map { Ran($0, .ready) })
  }
}
