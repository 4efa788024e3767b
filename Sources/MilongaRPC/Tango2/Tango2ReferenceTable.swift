/// What one end has given out on one connection: functions and objects by their numbers, with how
/// often each was sent. The other end releases as often as it has received.
///
/// ```
/// let number = try table.give(object)     while a message is written; or giveAgain(number)
/// table.keep()                            the frame leaves
/// table.takeBack()                        or it does not: the objects that nothing else needs
/// table.release(payload) { object in }    a release frame has come
/// ```
public struct Tango2ReferenceTable<Object> {
  fileprivate struct Entry {
    let object: Object
    var count: Int
  }

  private var entries: [UInt32: Entry] = [:]
  private var next: UInt32 = 1
  /// What the message that is being written gives out.
  private var recent: [UInt32] = []

  /// How many objects there may be. The other end decides how long it keeps them.
  public let limit: Int

  /// An empty table; see ``RPCLimits/references``.
  public init(limit: Int = RPCLimits().references) { self.limit = limit }

  /// How many objects are given out.
  public var count: Int { entries.count }

  /// Gives out an object that has no number yet.
  public mutating func give(_ object: Object) throws(ReferenceError) -> UInt32 {
    guard entries.count < limit else { throw .tooMany(limit: limit) }
    while next == 0 || entries[next] != nil { next &+= 1 }
    let number = next
    next &+= 1
    entries[number] = Entry(object: object, count: 1)
    recent.append(number)
    return number
  }

  /// Gives out an object once more. Its number must be in the table.
  public mutating func giveAgain(_ number: UInt32) {
    entries[number]!.count += 1
    recent.append(number)
  }

  /// The object with this number; nil when there is none, or it was released.
  public subscript(number: UInt32) -> Object? { entries[number]?.object }

  /// The message leaves, with what it gives out.
  public mutating func keep() { recent.removeAll(keepingCapacity: true) }

  /// The message does not leave. `body` gets each object that is out of the table now.
  public mutating func takeBack(_ body: (UInt32, Object) -> Void) {
    for number in recent { release(number, 1, body) }
    recent = []
  }

  /// The payload of a release frame has come. `body` gets each object that the other end does not
  /// need any more. A number that is not in the table is passed over.
  public mutating func release(
    _ payload: UnsafeRawBufferPointer, _ body: (UInt32, Object) -> Void
  ) {
    for place in stride(from: 0, to: payload.count - 7, by: 8) {
      let number = UInt32(bigEndian: payload.loadUnaligned(fromByteOffset: place, as: UInt32.self))
      let count = UInt32(
        bigEndian: payload.loadUnaligned(fromByteOffset: place + 4, as: UInt32.self))
      release(number, count, body)
    }
  }

  private mutating func release(_ number: UInt32, _ count: UInt32, _ body: (UInt32, Object) -> Void)
  {
    guard let entry = entries[number] else { return }
    if entry.count > Int(count) {
      entries[number]!.count -= Int(count)
    } else {
      entries[number] = nil
      body(number, entry.object)
    }
  }

  /// The connection has ended: all objects, for their owner to let go.
  public mutating func removeAll() -> [Object] {
    defer { (entries, recent) = ([:], []) }
    return entries.values.map(\.object)
  }
}

extension Tango2ReferenceTable: Sendable where Object: Sendable {}
extension Tango2ReferenceTable.Entry: Sendable where Object: Sendable {}
