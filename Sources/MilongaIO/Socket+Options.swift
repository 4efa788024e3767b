import Glibc
import SystemPackage

/// A socket option whose value is a C `int`.
public struct SocketOption: Sendable {
  public let level: Int32
  public let name: Int32

  public init(level: Int32, name: Int32) {
    self.level = level
    self.name = name
  }

  public static let reuseAddress = SocketOption(level: SOL_SOCKET, name: SO_REUSEADDR)
  public static let reusePort = SocketOption(level: SOL_SOCKET, name: SO_REUSEPORT)
  public static let keepAlive = SocketOption(level: SOL_SOCKET, name: SO_KEEPALIVE)
  public static let broadcast = SocketOption(level: SOL_SOCKET, name: SO_BROADCAST)
  public static let dontRoute = SocketOption(level: SOL_SOCKET, name: SO_DONTROUTE)
  public static let receiveBufferSize = SocketOption(level: SOL_SOCKET, name: SO_RCVBUF)
  public static let sendBufferSize = SocketOption(level: SOL_SOCKET, name: SO_SNDBUF)
  public static let noDelay = SocketOption(level: Int32(IPPROTO_TCP), name: TCP_NODELAY)
  public static let keepIdle = SocketOption(level: Int32(IPPROTO_TCP), name: TCP_KEEPIDLE)
  public static let keepCount = SocketOption(level: Int32(IPPROTO_TCP), name: TCP_KEEPCNT)
  public static let keepInterval = SocketOption(level: Int32(IPPROTO_TCP), name: TCP_KEEPINTVL)
  public static let quickAcknowledge = SocketOption(level: Int32(IPPROTO_TCP), name: TCP_QUICKACK)
  public static let deferAccept = SocketOption(level: Int32(IPPROTO_TCP), name: TCP_DEFER_ACCEPT)
  public static let fastOpen = SocketOption(level: Int32(IPPROTO_TCP), name: TCP_FASTOPEN)
  public static let fastOpenConnect = SocketOption(
    level: Int32(IPPROTO_TCP), name: TCP_FASTOPEN_CONNECT)
  /// The error that a connection has had; reading it clears it.
  public static let error = SocketOption(level: SOL_SOCKET, name: SO_ERROR)
  public static let v6Only = SocketOption(level: Int32(IPPROTO_IPV6), name: IPV6_V6ONLY)
  public static let multicastLoop = SocketOption(level: Int32(IPPROTO_IP), name: IP_MULTICAST_LOOP)
  public static let multicastTTL = SocketOption(level: Int32(IPPROTO_IP), name: IP_MULTICAST_TTL)
  public static let v6UnicastHops = SocketOption(
    level: Int32(IPPROTO_IPV6), name: IPV6_UNICAST_HOPS)
  public static let v6MulticastHops = SocketOption(
    level: Int32(IPPROTO_IPV6), name: IPV6_MULTICAST_HOPS)
  public static let v6MulticastLoop = SocketOption(
    level: Int32(IPPROTO_IPV6), name: IPV6_MULTICAST_LOOP)
}

extension Socket {
  public func set(_ option: SocketOption, to value: Int32) throws(Errno) {
    var value = value
    try check(
      setsockopt(
        descriptor, option.level, option.name, &value, socklen_t(MemoryLayout<Int32>.size)))
  }

  public func get(_ option: SocketOption) throws(Errno) -> Int32 {
    var value: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    try check(getsockopt(descriptor, option.level, option.name, &value, &size))
    return value
  }

  /// SO_LINGER: whether closing waits for unsent data, and how many seconds. With 0 seconds it
  /// drops the data and resets the connection.
  public func setLinger(on: Bool, seconds: Int32) throws(Errno) {
    var value = linger(l_onoff: on ? 1 : 0, l_linger: seconds)
    try check(
      setsockopt(
        descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size)))
  }

  public func getLinger() throws(Errno) -> (on: Bool, seconds: Int32) {
    var value = linger()
    var size = socklen_t(MemoryLayout<linger>.size)
    try check(getsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, &size))
    return (value.l_onoff != 0, value.l_linger)
  }

  /// Sends the acknowledgement that is due now instead of waiting for data to carry it.
  ///
  /// A peer that sends a message in two writes with Nagle's algorithm on holds the second back
  /// until the first is acknowledged, which the kernel delays by some 40 ms. TCP_QUICKACK is not
  /// permanent: it has to be set again after each read.
  public func acknowledgeAtOnce() { try? set(.quickAcknowledge, to: 1) }

  /// Sends give up at once even where the descriptor is told to block.
  public func limitBlockingSends() {
    var shortest = timeval(tv_sec: 0, tv_usec: 1)
    setsockopt(
      descriptor, SOL_SOCKET, SO_SNDTIMEO, &shortest, socklen_t(MemoryLayout<timeval>.size))
  }
}
