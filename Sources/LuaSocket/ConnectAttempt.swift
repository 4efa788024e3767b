import Glibc
import MilongaIO
import SystemPackage

/// The way of a TCP socket to a connection: the addresses of the peer are tried in turn.
package struct ConnectAttempt {
  package let addresses: [SocketAddress]
  private var next = 0
  private var isUnderWay = false
  private var lastFailure = SocketFailure.resolver(ResolverError(code: EAI_NONAME))

  package init(_ addresses: [SocketAddress]) { self.addresses = addresses }

  /// Gets as far as it can. `.wait`: until the socket is writable, or give up with ``giveUp()``.
  ///
  /// - Parameter replace: a socket of another family is needed: makes one in the place of the
  ///   socket's descriptor (the old one is closed by it).
  package mutating func proceed(
    _ socket: UnsafeMutablePointer<SocketObject>, replace: (Int32) -> SocketFailure?
  ) -> SocketObject.Progress {
    if isUnderWay {
      isUnderWay = false
      guard socket.pointee.descriptor >= 0 else { return .failed(.closed) }
      guard let code = socket.pointee.socket.pendingError() else { return .done }
      lastFailure = .system(code)
      socket.pointee.socket.disconnect()
    }
    while next < addresses.count {
      let address = addresses[next]
      next += 1
      if socket.pointee.descriptor < 0 || socket.pointee.family != address.family {
        if let failure = replace(address.family) {
          lastFailure = failure
          continue
        }
      }
      switch socket.pointee.socket.connect(address) {
      case .moved: return .done
      case .wouldBlock:
        isUnderWay = true
        return .wait
      case .failed(let code): lastFailure = .system(code)
      }
    }
    return .failed(lastFailure)
  }

  /// Once a connection that had to be waited for is there, the system lets one more connect succeed
  /// before it says that the socket is connected. This is that one, so that the program's is not.
  package func settle(_ socket: UnsafeMutablePointer<SocketObject>) {
    _ = socket.pointee.socket.connect(addresses[next - 1])
  }

  /// There are addresses left to try.
  package var hasMore: Bool { next < addresses.count }

  /// The address under way took too long; ``proceed(_:replace:)`` goes on with the next.
  package mutating func giveUp() {
    isUnderWay = false
    lastFailure = .timeout
  }
}
