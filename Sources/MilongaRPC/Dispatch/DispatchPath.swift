/// The names in a path such as `nested.method.name`, as slices of its bytes.
///
/// A name is a run of ASCII letters, digits and underscores, and anything else separates, as in
/// the original's `gmatch('[%w_]+')` (tango/dispatcher.lua). A copy of the path starts where the
/// path itself is.
public struct DispatchPath: Sequence, IteratorProtocol {
  @usableFromInline let end: UnsafeRawPointer
  @usableFromInline var position: UnsafeRawPointer

  /// The names in `bytes`, which must stay valid while the names are used.
  @inlinable
  public init(_ bytes: UnsafeRawBufferPointer) {
    // An empty buffer may have no address; any will do, since nothing is loaded from it.
    position = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
    end = position + bytes.count
  }

  /// The next name, or nil after the last one.
  @inlinable
  public mutating func next() -> UnsafeRawBufferPointer? {
    while position < end && !isNamePart(position.load(as: UInt8.self)) { position += 1 }
    let first = position
    while position < end && isNamePart(position.load(as: UInt8.self)) { position += 1 }
    return position == first ? nil : UnsafeRawBufferPointer(start: first, count: position - first)
  }
}
