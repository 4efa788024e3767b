import LuaSocket

/// How many seconds Copas waits for a socket; infinity is for ever.
public struct CopasTimeouts: Sendable {
  public var connect = Double.infinity
  public var send = Double.infinity
  public var receive = Double.infinity

  init() {}

  /// The same timeout for everything; negative seconds are none.
  init(all seconds: Double) {
    let limit = seconds < 0 ? Double.infinity : seconds
    connect = limit
    send = limit
    receive = limit
  }
}

// What Copas knows of a socket lies inside the socket object, so that nothing has to be looked up.
// The words of `schedulerData` are the three timeouts, the origin, and whether the descriptor is
// registered.
extension SocketObject {
  public var copasTimeouts: CopasTimeouts {
    @inline(__always)
    get {
      var timeouts = CopasTimeouts()
      timeouts.connect = Self.seconds(schedulerData.words.0)
      timeouts.send = Self.seconds(schedulerData.words.1)
      timeouts.receive = Self.seconds(schedulerData.words.2)
      return timeouts
    }
    set {
      schedulerData.words.0 = Self.word(newValue.connect)
      schedulerData.words.1 = Self.word(newValue.send)
      schedulerData.words.2 = Self.word(newValue.receive)
    }
  }

  /// Which server accepted the connection, and as which one.
  var origin: ConnectionOrigin {
    get {
      ConnectionOrigin(
        server: UInt32(truncatingIfNeeded: schedulerData.words.3),
        number: UInt32(truncatingIfNeeded: schedulerData.words.3 >> 32))
    }
    set { schedulerData.words.3 = UInt64(newValue.number) << 32 | UInt64(newValue.server) }
  }

  /// Whether the descriptor is registered with the dispatcher.
  @inlinable
  public var isWatched: Bool {
    @inline(__always)
    get { schedulerData.words.4 != 0 }
    set { schedulerData.words.4 = newValue ? 1 : 0 }
  }

  /// A new object has no timeouts: the word for infinity is 0.
  @inline(__always)
  private static func seconds(_ word: UInt64) -> Double {
    Double(bitPattern: word ^ Double.infinity.bitPattern)
  }

  private static func word(_ seconds: Double) -> UInt64 {
    seconds.bitPattern ^ Double.infinity.bitPattern
  }
}
