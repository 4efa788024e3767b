/// The remote objects of a connection that the program has references to, by their ids.
struct RemoteReferences {
  /// Counts the connections that were made: an id of an earlier one means nothing to the server.
  private(set) var generation = 0
  /// Ids that the server is to be told of, because Lua has collected their references.
  private var abandoned: [[UInt8]] = []
  /// Ids of all references. It is only kept when the server does not notice the end of the
  /// connection.
  private var held: Set<[UInt8]>?

  init(serverNoticesEnd: Bool) { held = serverNoticesEnd ? nil : [] }

  /// The program has a reference to the object.
  mutating func hold(_ id: UnsafeRawBufferPointer) { held?.insert(Array(id)) }

  /// The program has released its reference.
  mutating func letGo(_ id: UnsafeRawBufferPointer) { held?.remove(Array(id)) }

  /// Lua has collected a reference. Returns whether the server is to be told, and has to be told of
  /// no other one.
  mutating func abandon(_ id: UnsafeRawBufferPointer, generation: Int) -> Bool {
    guard generation == self.generation, !id.isEmpty else { return false }
    letGo(id)
    abandoned.append(Array(id))
    return abandoned.count == 1
  }

  /// Ids that the server is to be told of now.
  @inline(__always)
  mutating func takeAbandoned() -> [[UInt8]] {
    guard !abandoned.isEmpty else { return [] }
    defer { abandoned = [] }
    return abandoned
  }

  /// Those of ``takeAbandoned()`` for which there was no room.
  mutating func putBack(_ ids: some Sequence<[UInt8]>) { abandoned.append(contentsOf: ids) }

  /// All ids, at the end of a connection that the server does not notice.
  mutating func takeAll() -> [[UInt8]] {
    defer { held = held == nil ? nil : [] }
    return takeAbandoned() + (held ?? [])
  }

  /// The server has noticed the end of the connection, and keeps no object for it.
  mutating func connectionEnded() {
    guard held == nil else { return }
    generation += 1
    abandoned = []
  }
}
