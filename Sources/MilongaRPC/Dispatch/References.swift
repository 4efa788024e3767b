/// The remote objects of one connection: what `tango.ref` created and `tango.unref` did not
/// release.
///
/// When the connection ends, its owner calls ``removeAll()`` and releases the objects.
public struct References<Object> {
  @usableFromInline var objects: [ReferenceID: Object] = [:]

  /// How many objects the connection may hold.
  public let limit: Int

  /// A table without objects; see ``RPCLimits/references``.
  @inlinable
  public init(limit: Int = RPCLimits().references) { self.limit = limit }

  /// How many objects there are.
  @inlinable public var count: Int { objects.count }

  /// Keeps `object` and returns its new id.
  ///
  /// - Throws: ``ReferenceError`` when the connection holds as many objects as it may.
  @inlinable
  public mutating func insert(_ object: Object) throws(ReferenceError) -> ReferenceID {
    guard objects.count < limit else { throw .tooMany(limit: limit) }
    let id = ReferenceID()
    objects[id] = object
    return id
  }

  /// The object of an id, or nil if there is none.
  @inlinable
  public subscript(id: ReferenceID) -> Object? { objects[id] }

  /// The object of an id as a peer sent it, or nil if that names none.
  @inlinable
  public subscript(hex: UnsafeRawBufferPointer) -> Object? {
    ReferenceID(hex: hex).flatMap { objects[$0] }
  }

  /// Forgets the object of an id as a peer sent it, and returns it; nil if that names none.
  @inlinable
  public mutating func remove(_ hex: UnsafeRawBufferPointer) -> Object? {
    ReferenceID(hex: hex).flatMap { objects.removeValue(forKey: $0) }
  }

  /// Forgets all objects and returns them, for their owner to release.
  @inlinable
  public mutating func removeAll() -> [Object] {
    defer { objects = [:] }
    return Array(objects.values)
  }
}

extension References: Sendable where Object: Sendable {}
