import Foundation
import Glibc
import MilongaTestSupport

/// A program that runs on a pseudo-terminal, and what it has written there.
final class Terminal {
  private let descriptor: Int32
  private let process: pid_t
  private var unread = ""
  private(set) var transcript = ""

  init(_ program: Program, _ arguments: [String] = [], environment: [String: String] = [:]) throws {
    var terminal: Int32 = -1
    var controller: Int32 = -1
    var name = [CChar](repeating: 0, count: 128)
    guard openpty(&controller, &terminal, &name, nil, nil) == 0 else {
      throw POSIXError(POSIXErrorCode(rawValue: errno)!)
    }
    for end in [controller, terminal] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { close(terminal) }
    descriptor = controller
    // The leader of a new session: the first terminal it opens becomes its controlling terminal.
    process = try program.start(arguments, environment: environment, session: true) { actions in
      posix_spawn_file_actions_addopen(&actions, 0, name, O_RDWR, 0)
      posix_spawn_file_actions_adddup2(&actions, 0, 1)
      posix_spawn_file_actions_adddup2(&actions, 0, 2)
    }
  }

  deinit { close(descriptor) }

  func type(_ text: String) {
    _ = text.withCString { write(descriptor, $0, strlen($0)) }
  }

  /// Waits until the program has written `text`, and consumes all up to its end.
  func expect(_ text: String, seconds: Double = 60) throws {
    let deadline = Date(timeIntervalSinceNow: seconds)
    while true {
      if let range = unread.range(of: text) {
        unread.removeSubrange(..<range.upperBound)
        return
      }
      guard Date() < deadline, readSome() else { throw NotSeen(text: text, transcript: transcript) }
    }
  }

  /// Types a line and waits for the text that follows it.
  func type(line: String, expect text: String) throws {
    type(line + "\n")
    try expect(text)
  }

  /// Waits for the end of the program; gives its exit status.
  func end() throws -> Int32 {
    while readSome() {}
    return try waitForEnd(of: process)
  }

  private func readSome() -> Bool {
    var descriptors = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&descriptors, 1, 60_000) > 0 else { return false }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = read(descriptor, &bytes, bytes.count)
    guard count > 0 else { return false }
    let text = String(decoding: bytes[..<count], as: UTF8.self)
      .replacingOccurrences(of: "\r\n", with: "\n")
    unread += text
    transcript += text
    return true
  }
}

struct NotSeen: Error {
  var text: String
  var transcript: String
}
