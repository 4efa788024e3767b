import Glibc
import SystemPackage

/// Non-blocking system calls on a terminal or serial device. The descriptor is not owned.
package struct SerialDevice: Sendable {
  package let descriptor: Int32

  package init(descriptor: Int32) { self.descriptor = descriptor }

  /// Opens the device for reading and writing. It does not become the controlling terminal, and
  /// children do not inherit it.
  package static func open(_ path: UnsafePointer<CChar>) throws(Errno) -> SerialDevice {
    while true {
      let descriptor = Glibc.open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
      if descriptor >= 0 { return SerialDevice(descriptor: descriptor) }
      guard errno == EINTR else { throw Errno(rawValue: errno) }
    }
  }

  package func read(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
    Transfer { Glibc.read(descriptor, buffer.baseAddress, buffer.count) }
  }

  package func write(_ bytes: UnsafeRawBufferPointer) -> Transfer {
    Transfer { Glibc.write(descriptor, bytes.baseAddress, bytes.count) }
  }
}
