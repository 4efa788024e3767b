import HeapModule

/// When which task wants to be woken: a heap, re-armed lazily.
///
/// A task that waits again and again with a timeout (as a connection does for every message) has one
/// entry in the heap, made for its first deadline. Later deadlines only overwrite a number in the
/// task; when the entry comes up, it is put back for the deadline that holds then. Entries that
/// belong to nobody any more are swept out when they are the majority.
struct Deadlines {
  struct Entry: Comparable {
    let time: Int64
    let task: TaskID

    static func < (a: Entry, b: Entry) -> Bool { a.time < b.time }
    static func == (a: Entry, b: Entry) -> Bool { a.time == b.time }
  }

  private var heap = Heap<Entry>()
  private var abandoned = 0

  var count: Int { heap.count }
  var earliest: Int64? { heap.min?.time }

  mutating func insert(_ time: Int64, _ task: TaskID) {
    heap.insert(Entry(time: time, task: task))
  }

  /// The entry that is due, removed.
  mutating func popDue(_ now: Int64) -> Entry? {
    guard let first = heap.min, first.time <= now else { return nil }
    return heap.removeMin()
  }

  /// An entry belongs to nobody from now on.
  mutating func abandon(isCurrent: (Entry) -> Bool) {
    abandoned += 1
    guard abandoned > 1024, abandoned > heap.count / 2 else { return }
    heap = Heap(heap.unordered.filter(isCurrent))
    abandoned = 0
  }

  /// An abandoned entry came up and is gone.
  mutating func dropAbandoned() { abandoned = max(0, abandoned - 1) }
}
