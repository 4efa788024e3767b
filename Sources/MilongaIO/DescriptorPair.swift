import CMilongaShims
import Glibc
import SystemPackage

/// Two descriptors made at once, non-blocking, which children do not inherit.
package enum DescriptorPair {
  /// A pipe: what is written to the second one can be read from the first one.
  package static func pipe() throws(Errno) -> (read: Int32, write: Int32) {
    try make { milonga_pipe($0) }
  }

  /// Two connected stream sockets.
  package static func sockets() throws(Errno) -> (Int32, Int32) {
    try make { milonga_socketpair($0) }
  }

  private static func make(
    _ systemCall: (UnsafeMutablePointer<Int32>) -> Int32
  ) throws(Errno) -> (Int32, Int32) {
    var pair: (Int32, Int32) = (-1, -1)
    let status = withUnsafeMutableBytes(of: &pair) {
      systemCall($0.baseAddress!.assumingMemoryBound(to: Int32.self))
    }
    guard status == 0 else { throw Errno(rawValue: errno) }
    return pair
  }
}
