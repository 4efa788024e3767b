import Foundation
public import MilongaTestSupport

/// A program of another language, for the time of a test.
public final class OtherProgram {
  private let place: Workplace
  private let process: pid_t

  public init(_ program: Program, _ arguments: [String], in place: Workplace) throws {
    self.place = place
    process = try place.start(program, arguments, session: true)
  }

  /// Starts a server in Lua, which writes its port to the file `port`.
  public convenience init(lua script: String, in place: Workplace) throws {
    try place.write(script, to: "server.lua")
    try self.init(.milonga, ["server.lua"], in: place)
  }

  deinit {
    kill(-process, SIGKILL)
    _ = try? waitForEnd(of: process)
  }

  /// The number that the program tells when it listens: in the file `port`, or at the end of its
  /// output.
  public func port(in file: String = "port") async throws -> Int {
    let deadline = ContinuousClock.now + .seconds(60)
    while true {
      // Other tests may have kept all threads since the last look.
      let isOver = ContinuousClock.now > deadline
      let text = (try? place.read(file)) ?? ""
      if text.hasSuffix("\n"), let word = text.split(whereSeparator: \.isWhitespace).last,
        let port = Int(word)
      {
        return port
      }
      if isOver {
        throw Missing(
          description: "the program does not listen: \(text)\(try place.read("stderr"))")
      }
      try await Task.sleep(for: .milliseconds(5))
    }
  }
}

extension Workplace {
  /// Runs a program to its end, without keeping one of Swift's own threads.
  public func runAside(_ program: Program, _ arguments: [String]) async throws -> Outcome {
    nonisolated(unsafe) let place = self
    return try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(with: Result { try place.run(program, arguments, session: true) })
      }
    }
  }
}
