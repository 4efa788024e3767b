import Glibc
import SystemPackage

extension Socket {
  /// Receives one datagram. What does not fit into the buffer is lost; a length of 0 is a datagram,
  /// too.
  ///
  /// - Parameter sender: becomes the address that the datagram was sent from. One without bytes
  ///   means that the sender has no address (a Unix socket that is not bound).
  package func receive(
    into buffer: UnsafeMutableRawBufferPointer, from sender: inout SocketAddress
  ) -> Transfer {
    sender = SocketAddress()
    return Transfer {
      sender.withMutableSockaddr {
        recvfrom(descriptor, buffer.baseAddress, buffer.count, 0, $0, $1)
      }
    }
  }

  /// Sends one datagram to an address.
  package func send(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress) -> Transfer {
    Transfer {
      address.withSockaddr {
        sendto(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL), $0, $1)
      }
    }
  }

  /// The length of the datagram that is received next, which stays in the queue.
  package func nextDatagramLength() -> Transfer {
    Transfer { recv(descriptor, nil, 0, Int32(MSG_PEEK | MSG_TRUNC)) }
  }
}
