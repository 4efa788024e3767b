/// The names in a path such as `nested.method.name`, as slices of its bytes.
///
/// A name is a run of ASCII letters, digits and underscores, and anything else separates, as in
/// the original's `gmatch('[%w_]+')` (tango/dispatcher.lua). A copy of the path starts where the
/// path itself is.
public struct DispatchPath: Sequence, IteratorProtocol {
  @usableFromInline let bytes: UnsafeRawBufferPointer
  @usableFromInline var index = 0

  /// The names in `bytes`, which must stay valid while the names are used.
  @inlinable public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// The next name, or nil after the last one.
  @inlinable
  public mutating func next() -> UnsafeRawBufferPointer? {
    while index < bytes.count && !isNamePart(bytes[index]) { index &+= 1 }
    let first = index
    while index < bytes.count && isNamePart(bytes[index]) { index &+= 1 }
    return index == first ? nil : UnsafeRawBufferPointer(rebasing: bytes[first..<index])
  }
}
