public import Logging
import NIOConcurrencyHelpers
public import NIOCore
import NIOPosix

/// The lines that a server has logged.
public final class LogLines: Sendable {
  private let lines = NIOLockedValueBox<[String]>([])

  public init() {}

  public var all: [String] { lines.withLockedValue { $0 } }

  public var logger: Logger {
    Logger(label: "test") { _ in Handler(lines: self) }
  }

  private struct Handler: LogHandler {
    let lines: LogLines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.lines.withLockedValue { $0.append("\(event.message)") } }
  }
}

/// Connects to a server of this machine, without knowing its protocol.
///
/// - Parameter reads: whether it reads what comes, and drops it.
public func connectRaw(to port: Int, reads: Bool) async throws -> any Channel {
  try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
    .channelOption(.autoRead, value: reads)
    .channelOption(.socketOption(.so_rcvbuf), value: 4096)
    .connect(host: "127.0.0.1", port: port).get()
}

/// Waits until something is so.
public func eventually(_ condition: () async throws -> Bool) async throws {
  while try await !condition() { try await Task.sleep(for: .milliseconds(5)) }
}
