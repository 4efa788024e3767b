import Glibc
import MilongaIO
import SystemPackage

/// What LuaSocket's objects hold, inside Lua's memory: sockets of every kind, and serial devices.
///
/// Its operations never wait: they get as far as they can and say what they wait for. LuaSocket's
/// methods then wait with poll(2), Copas parks the coroutine; both come back and go on.
public struct SocketObject {
  public enum Kind: Sendable {
    case stream, datagram, serial
  }

  public var descriptor: Int32 = -1
  public let kind: Kind
  /// The last read outside a scheduler took all that the system had.
  var isDrained = false
  /// `AF_UNSPEC` until a socket of the system is made.
  public var family: Int32
  package var timeouts = SocketTimeouts()
  public var buffer = ReceiveBuffer()
  /// Bytes at the start of the buffer known to hold no line end.
  private var scanned = 0
  var received = 0
  var sent = 0
  var birthday = WallClock.now()
  /// What a scheduler knows of the socket.
  public var schedulerData = SchedulerData()

  /// Room for a scheduler. LuaSocket does not look at it; all bits are 0 at first.
  @frozen
  public struct SchedulerData: BitwiseCopyable, Sendable {
    public var words: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)

    @inlinable
    init() {}
  }

  public init(kind: Kind = .stream, descriptor: Int32 = -1, family: Int32 = AF_UNSPEC) {
    self.kind = kind
    self.descriptor = descriptor
    self.family = family
  }

  public var socket: Socket { Socket(descriptor: descriptor) }

  /// What LuaSocket's `receive` waits for.
  public enum Pattern: Sendable, Equatable {
    case line
    case all
    case count(Int)
  }

  /// How far an operation got.
  public enum Progress: Sendable {
    case done
    /// It goes on when the socket is readable or writable.
    case wait
    case failed(SocketFailure)
  }

  /// Reads until the buffer begins with what `pattern` asks for: `.done` then, and ``take(_:_:)``
  /// hands it out.
  ///
  /// - Parameters:
  ///   - wasShort: told that the system had less than was asked for; says whether another read is
  ///     worth a try all the same (the peer has hung up, and the end is to be read).
  ///   - isOver: asked when the system has had as much as there was room for, and more is wanted;
  ///     true ends it with `.wait` though there may be more.
  @inline(__always)
  public mutating func receive(
    _ pattern: Pattern, pool: BufferPool, mayRead: Bool = true, wasShort: () -> Bool = { true },
    isOver: () -> Bool = { false }
  ) -> Progress {
    var mayRead = mayRead
    while true {
      if holds(pattern) { return .done }
      guard mayRead else { return .wait }
      guard descriptor >= 0 else { return .failed(.closed) }
      let wanted = if case .count(let count) = pattern { count } else { Int.max }
      guard let room = buffer.room(wanted: wanted, pool: pool) else { return .failed(.memory) }
      switch read(into: room) {
      case .moved(0):
        buffer.releaseIfEmpty(to: pool)
        if case .all = pattern, !buffer.isEmpty { return .done }
        return .failed(.closed)
      case .moved(let count):
        buffer.filled(count)
        if count < room.count {
          mayRead = wasShort()
        } else if !holds(pattern), isOver() {
          return .wait
        }
      case .wouldBlock:
        _ = wasShort()
        buffer.releaseIfEmpty(to: pool)
        return .wait
      case .failed(let code):
        buffer.releaseIfEmpty(to: pool)
        return .failed(.system(code))
      }
    }
  }

  @inline(__always)
  private func read(into room: UnsafeMutableRawBufferPointer) -> Transfer {
    kind == .serial
      ? SerialDevice(descriptor: descriptor).read(into: room) : socket.receive(into: room)
  }

  @inline(__always)
  private func write(_ bytes: UnsafeRawBufferPointer) -> Transfer {
    kind == .serial ? SerialDevice(descriptor: descriptor).write(bytes) : socket.send(bytes)
  }

  @inline(__always)
  private mutating func holds(_ pattern: Pattern) -> Bool {
    switch pattern {
    case .line:
      if buffer.bytes.firstIndex(ofByte: newline, from: scanned) != nil { return true }
      scanned = buffer.count
      return false
    case .count(let count): return buffer.count >= max(count, 1)
    case .all: return false
    }
  }

  /// Bytes of the line at the start of the buffer, or of all when it has no end.
  var lineLength: Int { buffer.bytes.firstIndex(ofByte: newline) ?? buffer.count }

  /// Hands out what ``receive(_:pool:mayRead:wasShort:)`` found, or, when it failed, all there is.
  /// As in LuaSocket a line loses its line end and every carriage return.
  @inline(__always)
  public mutating func take<Result>(
    _ pattern: Pattern, pool: BufferPool, _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    let result: Result
    var count = buffer.count
    switch pattern {
    case .count(let wanted):
      count = min(count, wanted)
      result = body(UnsafeRawBufferPointer(rebasing: buffer.bytes[..<count]))
    case .all:
      result = body(buffer.bytes)
    case .line:
      let bytes = buffer.mutableBytes
      let end = UnsafeRawBufferPointer(bytes).firstIndex(ofByte: newline, from: 0) ?? count
      let line = withoutCarriageReturns(UnsafeMutableRawBufferPointer(rebasing: bytes[..<end]))
      result = body(line)
      count = min(end + 1, count)
    }
    received += count
    scanned = max(0, scanned - count)
    buffer.consume(count)
    buffer.releaseIfEmpty(to: pool)
    return result
  }

  /// Sends from `offset` on, which moves along.
  @inline(__always)
  public mutating func send(_ bytes: UnsafeRawBufferPointer, from offset: inout Int) -> Progress {
    while offset < bytes.count {
      guard descriptor >= 0 else { return .failed(.closed) }
      switch write(
        UnsafeRawBufferPointer(
          start: bytes.baseAddress! + offset, count: bytes.count - offset))
      {
      case .moved(let count):
        sent += count
        offset += count
      case .wouldBlock: return .wait
      case .failed(let code): return .failed(.system(code))
      }
    }
    return .done
  }

  /// Closes the descriptor and forgets what was received.
  mutating func close(pool: BufferPool) {
    if descriptor >= 0 { socket.close() }
    descriptor = -1
    isDrained = false
    buffer.release(to: pool)
    scanned = 0
  }
}

private let newline = UInt8(ascii: "\n")
private let carriageReturn = UInt8(ascii: "\r")

/// Squeezes carriage returns out, in place.
private func withoutCarriageReturns(
  _ line: UnsafeMutableRawBufferPointer
) -> UnsafeRawBufferPointer {
  guard let first = UnsafeRawBufferPointer(line).firstIndex(ofByte: carriageReturn) else {
    return UnsafeRawBufferPointer(line)
  }
  var kept = first
  for index in first..<line.count where line[index] != carriageReturn {
    line[kept] = line[index]
    kept += 1
  }
  return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(line)[..<kept])
}
