import CMilongaShims
import Glibc
import MilongaLua

/// ZeroMQ in one Lua state: a context that all its sockets share, so that `inproc://` addresses
/// work.
final class ZMQContext {
  let handle: UnsafeMutableRawPointer
  /// Numbers the addresses of monitors.
  private var monitors = 0

  private init(_ handle: UnsafeMutableRawPointer) { self.handle = handle }

  deinit { milonga_zmq_end_context(handle) }

  /// Loads libzmq.
  ///
  /// - Throws: a Lua error that names Debian's package.
  static func make(_ call: LuaCall) throws(LuaFailure) -> ZMQContext {
    if let reason = milonga_zmq_load() {
      throw call.failure(
        "tango: ZeroMQ needs the library libzmq (Debian's package libzmq5): "
          + String(cString: reason))
    }
    guard let handle = milonga_zmq_context() else {
      throw call.failure("tango: ZeroMQ: " + ZMQSocket.text(of: errno))
    }
    return ZMQContext(handle)
  }

  func nextMonitorURL() -> String {
    monitors += 1
    return "inproc://milonga-monitor-\(monitors)"
  }
}

/// A socket of libzmq. Its functions never wait. A caller that has to wait, waits for its
/// descriptor.
final class ZMQSocket {
  enum Kind {
    case dealer, router
  }

  struct Events: OptionSet {
    let rawValue: Int32

    /// A message is there.
    static let input = Events(rawValue: Int32(MILONGA_ZMQ_INPUT))
    /// A message would be taken.
    static let room = Events(rawValue: Int32(MILONGA_ZMQ_ROOM))
  }

  private let context: ZMQContext
  private var handle: UnsafeMutableRawPointer?
  private var monitor: UnsafeMutableRawPointer?
  /// Where a client connects to.
  private var url = ""
  /// Readable whenever something may have changed, in either direction.
  private(set) var descriptor: Int32
  private let make: () -> UnsafeMutableRawPointer?
  private let linger: Int32

  /// - Parameters:
  ///   - linger: milliseconds that what is not sent yet gets at the end.
  ///   - maxBytes: of a message; peers that send more are disconnected.
  init?(_ context: ZMQContext, _ kind: Kind, linger: Int32, maxBytes: Int) {
    self.context = context
    self.linger = linger
    let type = kind == .dealer ? MILONGA_ZMQ_DEALER : MILONGA_ZMQ_ROUTER
    // What a client has not read when it leaves is of no use. What a server has not sent when it
    // ends is of use.
    let lingerOfConnections = kind == .router ? 0 : linger
    make = {
      milonga_zmq_socket(context.handle, Int32(type), lingerOfConnections, Int64(maxBytes))
    }
    guard let handle = make() else { return nil }
    self.handle = handle
    descriptor = milonga_zmq_descriptor(handle)
  }

  deinit { close() }

  var isOpen: Bool { handle != nil }

  func close() {
    if let monitor { milonga_zmq_end_monitor(handle, monitor) }
    if let handle {
      milonga_zmq_set_linger(handle, linger)
      milonga_zmq_close(handle)
    }
    monitor = nil
    handle = nil
  }

  /// Nil, or why that failed. A server that takes the place of another one waits a moment until the
  /// other one is gone.
  func bind(_ url: String) -> String? {
    var code = milonga_zmq_bind(handle, url)
    var attempts = 0
    while code == EADDRINUSE, attempts < 50 {
      usleep(10_000)
      attempts += 1
      code = milonga_zmq_bind(handle, url)
    }
    return code == 0 ? nil : Self.text(of: code)
  }

  /// Nil, or why that failed. The peer need not be there yet.
  func connect(_ url: String) -> String? {
    self.url = url
    let address = context.nextMonitorURL()
    monitor = milonga_zmq_monitor(context.handle, handle, address)
    let code = milonga_zmq_connect(handle, url)
    return code == 0 ? nil : Self.text(of: code)
  }

  /// Where it is bound.
  var endpoint: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { room in
      let count = milonga_zmq_endpoint(handle, room.baseAddress, room.count)
      return String(decoding: UnsafeRawBufferPointer(room).prefix(count), as: UTF8.self)
    }
  }

  /// Whether the connection was lost since the last time.
  func takeLoss(_ events: Events) -> Bool {
    guard let monitor else { return false }
    // The monitor reports no connection inside the process. But there only a lost connection has no
    // room.
    return url.hasPrefix("inproc:") ? !events.contains(.room) : milonga_zmq_lost(monitor) != 0
  }

  /// Makes a new socket in the place of one whose connection was lost, as far as that is possible.
  /// libzmq makes most connections anew, but not when the peer broke its rules or sent too much,
  /// nor inside the process; and for a moment it still takes messages for the one that was lost.
  func renew() {
    guard let new = make() else { return }
    close()
    handle = new
    descriptor = milonga_zmq_descriptor(new)
    _ = connect(url)
  }

  /// What the socket is ready for. Ask after each use of the socket, and before each wait: the
  /// descriptor reports only changes, and each change once.
  var events: Events { Events(rawValue: handle.map(milonga_zmq_events) ?? 0) }

  /// 0, EAGAIN when that would have to wait, or another error.
  func send(_ part: UnsafeRawBufferPointer, more: Bool) -> Int32 {
    guard let handle else { return ENOTSOCK }
    return milonga_zmq_send(handle, part.baseAddress, part.count, more ? 1 : 0)
  }

  func send(_ part: [UInt8], more: Bool) -> Int32 {
    part.withUnsafeBytes { send($0, more: more) }
  }

  /// Sends the last part of a message. 0, EHOSTUNREACH when the peer is gone, or another error.
  func send(_ part: ZMQPart) -> Int32 {
    guard let handle else { return ENOTSOCK }
    let code = milonga_zmq_send_part(handle, part.memory)
    if code == 0 { part.isFilled = false }
    return code
  }

  /// Takes the next part of a message, if there is one.
  func receive() -> ZMQPart? {
    guard let handle else { return nil }
    let part = ZMQPart()
    guard milonga_zmq_receive(handle, part.memory) == 0 else { return nil }
    part.isFilled = true
    return part
  }

  static func text(of code: Int32) -> String { String(cString: milonga_zmq_text(code)) }
}

/// A connection of libzmq, which has no function to end it.
struct ZMQConnection {
  fileprivate let descriptor: Int32
  /// Distinguishes its file from a later one with the same descriptor.
  fileprivate let node: UInt64

  /// Ends the connection, unless it has ended.
  func end() { _ = milonga_zmq_shut_down(descriptor, node) }
}

/// Counts bytes of messages that libzmq has: peers have not read them.
final class ZMQCounter {
  fileprivate let handle: OpaquePointer

  /// - Parameter first: a counter whose waker this one uses; nil for its own.
  /// - Returns: nil when there is no memory for it, or no descriptor.
  init?(_ first: ZMQCounter? = nil) {
    guard let handle = milonga_zmq_make_counter(first?.handle) else { return nil }
    self.handle = handle
  }

  deinit { milonga_zmq_release_counter(handle) }

  var bytes: Int { Int(milonga_zmq_counted(handle)) }

  /// The waker becomes readable when so few bytes are left; -1 for never.
  func wake(below bytes: Int) { milonga_zmq_wake_below(handle, Int64(bytes)) }

  var waker: Int32 { milonga_zmq_waker(handle) }

  /// The waker is not readable until the next time.
  func calmWaker() { milonga_zmq_calm(handle) }
}

/// A part of a message that was received.
final class ZMQPart {
  fileprivate let memory = UnsafeMutablePointer<milonga_zmq_part>.allocate(capacity: 1)
  fileprivate var isFilled = false

  fileprivate init() {}

  /// A part to be sent, which counts until the peer has it; nil when there is no memory for it.
  ///
  /// - Parameter times: it counts as so many of its kind.
  init?(_ bytes: UnsafeRawBufferPointer, countedBy counter: ZMQCounter, times: Int32) {
    let code = milonga_zmq_fill_counted(
      memory, bytes.baseAddress, bytes.count, counter.handle, times)
    guard code == 0 else { return nil }
    isFilled = true
  }

  deinit {
    if isFilled { milonga_zmq_free(memory) }
    memory.deallocate()
  }

  var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: milonga_zmq_bytes(memory), count: milonga_zmq_count(memory))
  }

  /// The message goes on.
  var hasMore: Bool { milonga_zmq_more(memory) != 0 }

  /// The connection that it came on; nil when there is none, as inside the process.
  var connection: ZMQConnection? {
    var node: UInt64 = 0
    let descriptor = milonga_zmq_descriptor_of(memory, &node)
    return descriptor < 0 ? nil : ZMQConnection(descriptor: descriptor, node: node)
  }

  /// The address that it came from, as far as that has one.
  var peer: String { milonga_zmq_peer(memory).map { String(cString: $0) } ?? "" }
}
