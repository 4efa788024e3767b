extension Double {
  /// The integer that the float is, or nil if it has a fraction or is out of range.
  ///
  /// `Int64(exactly:)` may call `trunc` of the C math library, which nothing else here needs.
  @inlinable
  var wholeNumber: Int64? {
    guard magnitude < 0x1p63 else { return nil }
    let whole = Int64(self)
    return Double(whole) == self ? whole : nil
  }
}
