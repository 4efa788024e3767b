import Glibc
import SystemPackage

extension Socket {
  /// Enters or leaves a multicast group.
  package enum Membership: Sendable {
    case add, drop
  }

  /// - Parameter interface: the address of the interface; `INADDR_ANY` lets the system choose.
  package func set(
    _ membership: Membership, group: in_addr, interface: in_addr
  ) throws(Errno) {
    var request = ip_mreq(imr_multiaddr: group, imr_interface: interface)
    let name = membership == .add ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP
    try set(Int32(IPPROTO_IP), name, to: &request)
  }

  /// - Parameter interface: the number of the interface; 0 lets the system choose.
  package func set(
    _ membership: Membership, group: in6_addr, interface: UInt32
  ) throws(Errno) {
    var request = ipv6_mreq(ipv6mr_multiaddr: group, ipv6mr_interface: interface)
    let name = membership == .add ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP
    try set(Int32(IPPROTO_IPV6), name, to: &request)
  }

  /// The interface that multicast datagrams leave by; `INADDR_ANY` lets the system choose.
  package func setMulticastInterface(_ interface: in_addr) throws(Errno) {
    var interface = interface
    try set(Int32(IPPROTO_IP), IP_MULTICAST_IF, to: &interface)
  }

  package func multicastInterface() throws(Errno) -> in_addr {
    var interface = in_addr()
    var size = socklen_t(MemoryLayout<in_addr>.size)
    try check(
      getsockopt(descriptor, Int32(IPPROTO_IP), IP_MULTICAST_IF, &interface, &size))
    return interface
  }

  private func set<Value>(_ level: Int32, _ name: Int32, to value: inout Value) throws(Errno) {
    let status = withUnsafeBytes(of: &value) {
      setsockopt(descriptor, level, name, $0.baseAddress, socklen_t($0.count))
    }
    try check(status)
  }
}
