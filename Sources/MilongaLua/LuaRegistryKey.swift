/// A key of what Swift keeps in a Lua state that nothing else in the process uses. Make one per
/// purpose, as a static constant: it is never freed.
public struct LuaRegistryKey: @unchecked Sendable {
  /// The address of a byte that belongs to this key; it is never read or written.
  @usableFromInline let address: UnsafeRawPointer

  public init() {
    address = UnsafeRawPointer(UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1))
  }
}
