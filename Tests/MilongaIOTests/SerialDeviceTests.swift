import Glibc
import MilongaIO
import SystemPackage
import Testing

@Suite struct SerialDeviceTests {
  /// A pseudo terminal that passes bytes as they are: what stands in for a line, and the device's
  /// path.
  private func withLine(_ body: (SerialDevice, String) throws -> Void) throws {
    var line: Int32 = -1
    var terminal: Int32 = -1
    var name = [CChar](repeating: 0, count: 128)
    var settings = termios()
    cfmakeraw(&settings)
    try #require(openpty(&line, &terminal, &name, &settings, nil) == 0)
    defer {
      close(line)
      close(terminal)
    }
    let path = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
    try body(SerialDevice(descriptor: line), path)
  }

  @Test func `bytes go both ways, and no call waits`() throws {
    try withLine { line, path in
      let device = try SerialDevice.open(path)
      defer { close(device.descriptor) }
      var buffer = [UInt8](repeating: 0, count: 16)
      #expect(buffer.withUnsafeMutableBytes { device.read(into: $0) } == .wouldBlock)
      #expect(Array("to the line".utf8).withUnsafeBytes { device.write($0) } == .moved(11))
      #expect(buffer.withUnsafeMutableBytes { line.read(into: $0) } == .moved(11))
      #expect(buffer[..<11].elementsEqual("to the line".utf8))
      #expect(Array("from it".utf8).withUnsafeBytes { line.write($0) } == .moved(7))
      #expect(Socket(descriptor: device.descriptor).becomes(POLLIN))
      #expect(buffer.withUnsafeMutableBytes { device.read(into: $0) } == .moved(7))
      #expect(buffer[..<7].elementsEqual("from it".utf8))
    }
  }

  @Test func `the device is not inherited by children`() throws {
    try withLine { _, path in
      let device = try SerialDevice.open(path)
      defer { close(device.descriptor) }
      #expect(fcntl(device.descriptor, F_GETFD) & FD_CLOEXEC != 0)
    }
  }

  @Test func `what does not exist is an error`() {
    #expect(throws: Errno.noSuchFileOrDirectory) { try SerialDevice.open("/dev/no such device") }
  }
}
