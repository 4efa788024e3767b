/// Holders with the largest first: a heap whose members know their places, so that each change
/// costs the logarithm of their number.
struct HolderHeap {
  private(set) var holders: [BufferHolder] = []

  /// The holder whose end would free the most.
  var largest: BufferHolder? { holders.first }

  mutating func insert(_ holder: BufferHolder) {
    holder.place = holders.count
    holders.append(holder)
    rise(from: holder.place)
  }

  mutating func remove(_ holder: BufferHolder) {
    let place = holder.place
    let last = holders.removeLast()
    holder.place = -1
    guard last !== holder else { return }
    holders[place] = last
    last.place = place
    moved(last)
  }

  /// The holder has another number of bytes than before.
  mutating func moved(_ holder: BufferHolder) {
    rise(from: holder.place)
    sink(from: holder.place)
  }

  private mutating func rise(from start: Int) {
    var place = start
    while place > 0 {
      let above = (place - 1) / 2
      guard holders[place].bytes > holders[above].bytes else { return }
      exchange(place, above)
      place = above
    }
  }

  private mutating func sink(from start: Int) {
    var place = start
    while true {
      var larger = place
      for below in [2 * place + 1, 2 * place + 2]
      where below < holders.count && holders[below].bytes > holders[larger].bytes {
        larger = below
      }
      guard larger != place else { return }
      exchange(place, larger)
      place = larger
    }
  }

  private mutating func exchange(_ one: Int, _ other: Int) {
    holders.swapAt(one, other)
    holders[one].place = one
    holders[other].place = other
  }
}
