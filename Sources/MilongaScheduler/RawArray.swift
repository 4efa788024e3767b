/// A growing table of plain values, owned by one object.
///
/// An `Array` in its place would be retained, released and asked whether it is shared at every
/// access, which is most of what the scheduler would then do for a message.
@usableFromInline
package struct RawArray<Element: BitwiseCopyable>: ~Copyable {
  @usableFromInline package var count = 0
  @usableFromInline var capacity = 16
  @usableFromInline var base = UnsafeMutablePointer<Element>.allocate(capacity: 16)

  @inlinable
  package init() {}

  @inlinable deinit { base.deallocate() }

  @inlinable
  package mutating func append(_ element: Element) {
    if count == capacity {
      let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
      larger.moveInitialize(from: base, count: count)
      base.deallocate()
      base = larger
      capacity *= 2
    }
    (base + count).initialize(to: element)
    count += 1
  }

  /// Where the element is, until the next is appended; nil when there is none of this index.
  @inlinable
  @inline(__always)
  package func place(_ index: Int32) -> UnsafeMutablePointer<Element>? {
    // A negative index is a huge one without its sign.
    UInt32(bitPattern: index) < count ? base + Int(index) : nil
  }
}
