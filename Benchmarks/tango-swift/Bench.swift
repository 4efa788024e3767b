import NIOPosix
import Tango

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The Swift ends of the tango benchmarks.
///
///     tango-swift server                        prints "listening PORT"; has `echo`, and `wait`,
///                                               which takes 10 ms
///     tango-swift echo                          sends back what comes, on SwiftNIO alone
///     tango-swift client CALLERS SECONDS PORT   calls `echo`, prints "calls seconds"
///     tango-swift waiters CALLERS SECONDS PORT  calls `wait`
///     tango-swift sleepers TASKS SECONDS        what `wait` does, without calls
@main
enum Bench {
  static func main() async throws {
    let arguments = CommandLine.arguments.dropFirst()
    let numbers = arguments.dropFirst().compactMap(Double.init)
    guard numbers.count == max(0, arguments.count - 1) else { return usage() }
    switch (arguments.first, numbers.count) {
    case ("server", 0): try await serve()
    case ("echo", 0): try await serveEcho()
    case ("client", 3):
      try await call(Int(numbers[0]), numbers[1], Int(numbers[2]), "echo", batch: 16)
    case ("waiters", 3):
      try await call(Int(numbers[0]), numbers[1], Int(numbers[2]), "wait", batch: 1)
    case ("sleepers", 2): try await sleep(Int(numbers[0]), numbers[1])
    default: usage()
    }
  }

  private static func usage() {
    print(
      "usage: tango-swift server | echo | client CALLERS SECONDS PORT"
        + " | waiters CALLERS SECONDS PORT | sleepers TASKS SECONDS")
    exit(2)
  }

  /// What `wait` takes.
  private static let pause = Duration.milliseconds(10)

  private static func serve() async throws {
    var namespace = TangoNamespace()
    namespace.register("echo") { (text: String) in text }
    namespace.register("wait") { (text: String) async throws -> String in
      try await Task.sleep(for: pause)
      return text
    }
    var configuration = TangoServer.Configuration(port: 0)
    // One core is measured.
    configuration.eventLoopGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let server = TangoServer(namespace, configuration: configuration)
    print("listening \(try await server.start())")
    fflush(nil)
    try await server.run()
  }

  // MARK: Callers

  /// - Parameters:
  ///   - function: what is called.
  ///   - batch: calls between two looks at the clock, which is not what is measured.
  private static func call(
    _ callers: Int, _ seconds: Double, _ port: Int, _ function: String, batch: Int
  ) async throws {
    var configuration = TangoClient.Configuration()
    configuration.eventLoopGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let client = try await Tango.connect(
      host: "127.0.0.1", port: port, configuration: configuration)
    let text = String(repeating: "x", count: 32)
    try await repeatedly(callers, seconds, on: client.taskExecutor) {
      for _ in 0..<batch {
        let answer: String = try await client[dynamicMember: function](text)
        guard answer == text else { fatalError("a wrong answer: \(answer)") }
      }
      return batch
    }
  }

  private static func sleep(_ tasks: Int, _ seconds: Double) async throws {
    try await repeatedly(tasks, seconds, on: nil) {
      try await Task.sleep(for: pause)
      return 1
    }
  }

  /// Lets so many tasks do something for so long, and prints how much they did in how many seconds.
  private static func repeatedly(
    _ tasks: Int, _ seconds: Double, on executor: (any TaskExecutor)?,
    _ work: @escaping @Sendable () async throws -> Int
  ) async throws {
    let clock = ContinuousClock()
    let begin = clock.now
    let end = begin + .seconds(seconds)
    let amount = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<tasks {
        group.addTask(executorPreference: executor) {
          var amount = 0
          while ContinuousClock.now < end { amount += try await work() }
          return amount
        }
      }
      return try await group.reduce(0, +)
    }
    print(amount, (clock.now - begin) / .seconds(1))
  }
}
