import CMilongaLua
import CMilongaShims
import MilongaLua

/// The items of a queue: the elements of a Lua table that belongs to the queue's object, used as a
/// ring, so that a queue that is never empty does not grow.
struct QueuedItems {
  private(set) var count = 0
  private var first = 0
  /// Room in the table; a power of two, or 0 when there is none.
  private var capacity = 0

  private static let tableKey = LuaRegistryKey()
  /// A larger table is given up when it is empty.
  private static let largestKept = 1024

  /// Appends the value on top of the stack, which is popped; the queue's object is at 1.
  mutating func append(_ call: LuaCall) throws(LuaFailure) {
    if count == capacity { try grow(call) }
    try pushTable(call)
    call.insert(at: -2)
    call.setElement((first + count) & (capacity - 1) + 1, of: -2)
    call.pop()
    count += 1
  }

  /// Pushes the first item and takes it out.
  mutating func takeFirst(_ call: LuaCall) throws(LuaFailure) {
    try pushTable(call)
    milonga_rawgeti(call.state, -1, lua_Integer(first + 1))
    call.pushNil()
    call.setElement(first + 1, of: -3)
    call.remove(at: -2)
    first = (first + 1) & (capacity - 1)
    count -= 1
    if count == 0, capacity > Self.largestKept { removeAll(call) }
  }

  mutating func removeAll(_ call: LuaCall) {
    call.pushNil()
    call.setField(Self.tableKey, of: 1)
    (count, first, capacity) = (0, 0, 0)
  }

  /// Pushes the table, which a script can find, and exchange.
  private func pushTable(_ call: LuaCall) throws(LuaFailure) {
    call.pushField(Self.tableKey, of: 1)
    guard call.type(at: -1) == .table || capacity == 0 else {
      throw call.failure("copas.queue: the queue's items were overwritten")
    }
  }

  /// Moves the items to a table with twice the room.
  private mutating func grow(_ call: LuaCall) throws(LuaFailure) {
    let larger = max(8, capacity * 2)
    try pushTable(call)
    call.pushTable(elements: larger)
    for index in 0..<count {
      milonga_rawgeti(call.state, -2, lua_Integer((first + index) & (capacity - 1) + 1))
      call.setElement(index + 1, of: -2)
    }
    call.setField(Self.tableKey, of: 1)
    call.pop()
    (first, capacity) = (0, larger)
  }
}
