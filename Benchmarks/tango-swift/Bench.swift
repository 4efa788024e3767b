import Glibc
import NIOPosix
import Tango

/// The Swift ends of the tango benchmarks.
///
///     tango-swift server                       prints "listening PORT", and echoes
///     tango-swift client CALLERS SECONDS PORT  calls echo, prints "calls seconds"
@main
enum Bench {
  static func main() async throws {
    let arguments = CommandLine.arguments
    switch arguments.count {
    case 2 where arguments[1] == "server": try await serve()
    case 5 where arguments[1] == "client":
      try await call(
        callers: Int(arguments[2])!, duration: .seconds(Double(arguments[3])!),
        port: Int(arguments[4])!)
    default:
      print("usage: tango-swift server | client CALLERS SECONDS PORT")
      exit(2)
    }
  }

  static func serve() async throws {
    var namespace = TangoNamespace()
    namespace.register("echo") { (text: String) in text }
    var configuration = TangoServer.Configuration(port: 0)
    // One core is measured.
    configuration.eventLoopGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let server = TangoServer(namespace, configuration: configuration)
    print("listening \(try await server.start())")
    fflush(nil)
    try await server.run()
  }

  static func call(callers: Int, duration: Duration, port: Int) async throws {
    var configuration = TangoClient.Configuration()
    configuration.eventLoopGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let client = try await Tango.connect(
      host: "127.0.0.1", port: port, configuration: configuration)
    let clock = ContinuousClock()
    let begin = clock.now
    let end = begin + duration
    let calls = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<callers {
        group.addTask(executorPreference: client.taskExecutor) {
          try await callUntil(end, client)
        }
      }
      return try await group.reduce(0, +)
    }
    print(calls, (clock.now - begin) / .seconds(1))
  }

  static func callUntil(_ end: ContinuousClock.Instant, _ client: TangoClient) async throws -> Int {
    let text = String(repeating: "x", count: 32)
    var calls = 0
    while ContinuousClock.now < end {
      // Looking at the clock is not what is measured.
      for _ in 0..<16 {
        let answer: String = try await client.echo(text)
        guard answer == text else { fatalError("a wrong answer: \(answer)") }
      }
      calls += 16
    }
    return calls
  }
}
