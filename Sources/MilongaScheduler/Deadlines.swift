import HeapModule

/// The times at which tasks want to be woken: a heap, re-armed lazily.
///
/// A task that waits again and again with a timeout (as a connection does for every message) has
/// one entry in the heap, made for its first deadline. Later deadlines only overwrite a number in
/// the task; when the entry comes up, it is put back for the deadline that holds then. Entries that
/// no task has any more are removed when they are the majority.
struct Deadlines {
  struct Entry: Comparable {
    let time: Int64
    /// Tells the entries of one task apart, and keeps equal times in the order of their insertion.
    let number: UInt64
    let task: TaskID

    static func < (a: Entry, b: Entry) -> Bool { (a.time, a.number) < (b.time, b.number) }
    static func == (a: Entry, b: Entry) -> Bool { a.number == b.number }
  }

  private(set) var heap = Heap<Entry>()
  private var abandoned = 0
  private var lastNumber: UInt64 = 0

  var earliest: Int64? { heap.min?.time }

  /// The number of the new entry.
  mutating func insert(_ time: Int64, _ task: TaskID) -> UInt64 {
    lastNumber += 1
    heap.insert(Entry(time: time, number: lastNumber, task: task))
    return lastNumber
  }

  /// The entry that is due, removed.
  mutating func popDue(_ now: Int64) -> Entry? {
    guard let first = heap.min, first.time <= now else { return nil }
    return heap.removeMin()
  }

  /// No task has a certain entry any more.
  mutating func abandon(isCurrent: (Entry) -> Bool) {
    abandoned += 1
    guard abandoned > 1024, abandoned > heap.count / 2 else { return }
    heap = Heap(heap.unordered.filter(isCurrent))
    abandoned = 0
  }

  /// An abandoned entry came up and is gone.
  mutating func dropAbandoned() { abandoned -= 1 }
}
