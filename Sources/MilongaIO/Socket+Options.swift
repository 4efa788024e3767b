import Glibc
import SystemPackage

/// A socket option whose value is a C `int`.
package struct SocketOption: Sendable {
  package let level: Int32
  package let name: Int32

  package init(level: Int32, name: Int32) {
    self.level = level
    self.name = name
  }

  package static let reuseAddress = SocketOption(level: SOL_SOCKET, name: SO_REUSEADDR)
  package static let reusePort = SocketOption(level: SOL_SOCKET, name: SO_REUSEPORT)
  package static let keepAlive = SocketOption(level: SOL_SOCKET, name: SO_KEEPALIVE)
  package static let broadcast = SocketOption(level: SOL_SOCKET, name: SO_BROADCAST)
  package static let dontRoute = SocketOption(level: SOL_SOCKET, name: SO_DONTROUTE)
  package static let receiveBufferSize = SocketOption(level: SOL_SOCKET, name: SO_RCVBUF)
  package static let sendBufferSize = SocketOption(level: SOL_SOCKET, name: SO_SNDBUF)
  package static let noDelay = SocketOption(level: Int32(IPPROTO_TCP), name: TCP_NODELAY)
  package static let keepIdle = SocketOption(level: Int32(IPPROTO_TCP), name: TCP_KEEPIDLE)
  package static let keepCount = SocketOption(level: Int32(IPPROTO_TCP), name: TCP_KEEPCNT)
  package static let keepInterval = SocketOption(level: Int32(IPPROTO_TCP), name: TCP_KEEPINTVL)
  package static let quickAcknowledge = SocketOption(level: Int32(IPPROTO_TCP), name: TCP_QUICKACK)
  package static let deferAccept = SocketOption(level: Int32(IPPROTO_TCP), name: TCP_DEFER_ACCEPT)
  package static let fastOpen = SocketOption(level: Int32(IPPROTO_TCP), name: TCP_FASTOPEN)
  package static let fastOpenConnect = SocketOption(
    level: Int32(IPPROTO_TCP), name: TCP_FASTOPEN_CONNECT)
  /// The error that a connection has had; reading it clears it.
  package static let error = SocketOption(level: SOL_SOCKET, name: SO_ERROR)
  package static let v6Only = SocketOption(level: Int32(IPPROTO_IPV6), name: IPV6_V6ONLY)
  package static let multicastLoop = SocketOption(level: Int32(IPPROTO_IP), name: IP_MULTICAST_LOOP)
  package static let multicastTTL = SocketOption(level: Int32(IPPROTO_IP), name: IP_MULTICAST_TTL)
  package static let v6UnicastHops = SocketOption(
    level: Int32(IPPROTO_IPV6), name: IPV6_UNICAST_HOPS)
  package static let v6MulticastHops = SocketOption(
    level: Int32(IPPROTO_IPV6), name: IPV6_MULTICAST_HOPS)
  package static let v6MulticastLoop = SocketOption(
    level: Int32(IPPROTO_IPV6), name: IPV6_MULTICAST_LOOP)
}

extension Socket {
  package func set(_ option: SocketOption, to value: Int32) throws(Errno) {
    var value = value
    try check(
      setsockopt(
        descriptor, option.level, option.name, &value, socklen_t(MemoryLayout<Int32>.size)))
  }

  package func get(_ option: SocketOption) throws(Errno) -> Int32 {
    var value: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    try check(getsockopt(descriptor, option.level, option.name, &value, &size))
    return value
  }

  /// SO_LINGER: whether closing waits for unsent data, and how many seconds. With 0 seconds it
  /// drops the data and resets the connection.
  package func setLinger(on: Bool, seconds: Int32) throws(Errno) {
    var value = linger(l_onoff: on ? 1 : 0, l_linger: seconds)
    try check(
      setsockopt(
        descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size)))
  }

  package func getLinger() throws(Errno) -> (on: Bool, seconds: Int32) {
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
  package func acknowledgeAtOnce() { try? set(.quickAcknowledge, to: 1) }

  /// Sends give up at once even where the descriptor is told to block.
  package func limitBlockingSends() {
    var shortest = timeval(tv_sec: 0, tv_usec: 1)
    setsockopt(
      descriptor, SOL_SOCKET, SO_SNDTIMEO, &shortest, socklen_t(MemoryLayout<timeval>.size))
  }
}
