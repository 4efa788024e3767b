import CMilongaShims
import Glibc
import MilongaIO
import SystemPackage

/// What a socket object holds, inside Lua's memory: a descriptor of any kind.
struct SocketObject: HandleHolder {
  enum Kind {
    /// A stream socket or a pipe of our own: a read that gets less than it asked for has got all.
    case stream
    case datagram
    /// A descriptor that came from elsewhere.
    case other
  }

  var handle: Handle
  let kind: Kind
  /// The socket's family; `AF_UNSPEC` for descriptors that are no sockets, or came from elsewhere.
  var family: Int32
  /// Nothing was done with the socket yet that another one could not do in its place: what it was
  /// told is kept for that one.
  private(set) var options: [(option: SocketOption, value: Int32)]? = []

  init(_ handle: Handle, _ kind: Kind, family: Int32 = AF_UNSPEC) {
    self.handle = handle
    self.kind = kind
    self.family = family
    if family == AF_UNSPEC { options = nil }
  }

  var socket: Socket { Socket(descriptor: handle.descriptor) }

  @inline(__always)
  func read(into room: UnsafeMutableRawBufferPointer) -> Attempt {
    let descriptor = handle.descriptor
    return Attempt { Glibc.read(descriptor, room.baseAddress, room.count) }
  }

  @inline(__always)
  func write(_ bytes: UnsafeRawBufferPointer) -> Attempt {
    let descriptor = handle.descriptor
    // Without a signal, even if the program has taken SIGPIPE back; pipes and files have no such
    // flag.
    if family != AF_UNSPEC {
      return Attempt {
        Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
      }
    }
    return Attempt { Glibc.write(descriptor, bytes.baseAddress, bytes.count) }
  }

  mutating func set(_ option: SocketOption, to value: Int32) throws(Errno) {
    try socket.set(option, to: value)
    options?.append((option, value))
  }

  /// From now on it is this socket or none.
  mutating func settle() { options = nil }

  /// Puts a socket of another family into the place of one that was not used yet; the descriptor's
  /// number stays the same.
  ///
  /// - Parameter willReplace: told before.
  mutating func become(
    _ family: Int32, willReplace: (inout Handle) -> Void
  ) throws(Errno) {
    guard let options, family != self.family, handle.descriptor >= 0 else { return }
    let isNonblocking = milonga_is_nonblocking(handle.descriptor) != 0
    let other = try Socket.open(family: family, stream: kind == .stream)
    defer { other.close() }
    // Not every option is one of every family.
    for (option, value) in options { try? other.set(option, to: value) }
    if !isNonblocking { _ = milonga_set_nonblocking(other.descriptor, 0) }
    willReplace(&handle)
    guard milonga_replace_descriptor(handle.descriptor, other.descriptor) >= 0 else {
      throw Errno(rawValue: errno)
    }
    self.family = family
  }
}
