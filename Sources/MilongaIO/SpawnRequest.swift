/// What a new process is to be.
package struct SpawnRequest: Sendable {
  /// The process group of the child.
  package enum Group: Sendable {
    case inherited
    /// A new one, which the child leads.
    case new
    /// The one that this process leads.
    case led(by: Process)
  }

  /// The file of the program; it is not searched for, see ``ExecutableSearch``.
  package var path: ByteStrings
  /// What the program finds in `argv`.
  package var arguments: ByteStrings
  /// `NAME=value` each.
  package var environment: ByteStrings
  /// The only descriptors that the child has.
  package var descriptors: DescriptorMap
  /// The working directory, nil for the parent's. A relative ``path`` begins there.
  package var directory: ByteStrings?
  package var group = Group.inherited
  /// The child leads a new session, without a controlling terminal.
  package var startsSession = false
  /// For umask(2); nil for the parent's.
  package var mask: UInt16?

  package init(
    path: ByteStrings, arguments: ByteStrings, environment: ByteStrings = [],
    descriptors: DescriptorMap
  ) {
    self.path = path
    self.arguments = arguments
    self.environment = environment
    self.descriptors = descriptors
  }
}

/// Strings for C, byte by byte as they came: each ends with a NUL and holds no other.
package struct ByteStrings: Sendable, ExpressibleByArrayLiteral {
  private var bytes: [CChar] = []
  private var starts: [Int] = []

  package init() {}

  package init(arrayLiteral strings: String...) {
    for string in strings { append(Array(string.utf8)) }
  }

  /// Adds a string; false when there is a NUL in it, which C would take for its end.
  @discardableResult
  package mutating func append(_ string: some Sequence<UInt8>) -> Bool {
    let start = bytes.count
    bytes.append(contentsOf: string.lazy.map { CChar(bitPattern: $0) })
    guard !bytes[start...].contains(0) else {
      bytes.removeSubrange(start...)
      return false
    }
    bytes.append(0)
    starts.append(start)
    return true
  }

  /// The text of the first string, repaired where it is not UTF-8.
  package var firstText: String {
    bytes.withUnsafeBufferPointer { $0.isEmpty ? "" : String(cString: $0.baseAddress!) }
  }

  /// An array of pointers that ends with NULL.
  func withPointers<Result>(
    _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
  ) -> Result {
    bytes.withUnsafeBufferPointer { bytes in
      var pointers: [UnsafePointer<CChar>?] = starts.map { bytes.baseAddress! + $0 }
      pointers.append(nil)
      return pointers.withUnsafeBufferPointer { body($0.baseAddress!) }
    }
  }
}
