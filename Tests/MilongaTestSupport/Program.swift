import Foundation
import Glibc

/// A program under test: our command line, or the original; or the shell, to start one of them.
public enum Program: String, Sendable {
  case milonga
  case shell = "sh"
  case lua = "lua5.4"

  public var path: String {
    switch self {
    case .shell: "/bin/sh"
    case .lua: "/usr/bin/lua5.4"
    case .milonga: Self.productsDirectory + "/milonga"
    }
  }

  /// The directory that holds the test bundle, and what else was built.
  private static let productsDirectory: String = {
    var candidates = [Bundle.main.bundlePath, Bundle.main.executablePath ?? ""]
    candidates.append(CommandLine.arguments[0])
    for candidate in candidates {
      var directory = URL(fileURLWithPath: candidate)
      for _ in 0..<4 {
        directory.deleteLastPathComponent()
        if access(directory.path + "/milonga", X_OK) == 0, !isDirectory(directory.path + "/milonga")
        {
          return directory.path
        }
      }
    }
    fatalError("no milonga beside \(candidates)")
  }()

  private static func isDirectory(_ path: String) -> Bool {
    var information = stat()
    return stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
  }

  /// Starts the program under the name `lua`, so that the outputs of both can be compared as they
  /// are. Descriptors are set up by `prepare`.
  public func start(
    _ arguments: [String], environment: [String: String] = [:], session: Bool = false,
    prepare: (inout posix_spawn_file_actions_t) -> Void
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    prepare(&actions)
    addClosing(&actions, from: 3)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var defaults = sigset_t()
    sigfillset(&defaults)
    posix_spawnattr_setsigdefault(&attributes, &defaults)
    var mask = sigset_t()
    sigemptyset(&mask)
    posix_spawnattr_setsigmask(&attributes, &mask)
    let flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | (session ? 0x80 : 0)
    posix_spawnattr_setflags(&attributes, Int16(flags))
    var fixed = ["PATH": "/usr/bin:/bin", "TERM": "dumb", "INPUTRC": "/dev/null", "LC_ALL": "C"]
    fixed["ASAN_OPTIONS"] = ProcessInfo.processInfo.environment["ASAN_OPTIONS"]
    let variables = fixed.merging(environment) { $1 }
    var argv = (["lua"] + arguments).map { strdup($0) } + [nil]
    var envp = variables.map { strdup("\($0)=\($1)") } + [nil]
    defer { for string in argv + envp { free(string) } }
    var process: pid_t = 0
    let status = posix_spawn(&process, path, &actions, &attributes, &argv, &envp)
    guard status == 0 else { throw POSIXError(POSIXErrorCode(rawValue: status)!) }
    return process
  }
}

/// Waits for a process to end: its exit status, or minus the signal that killed it.
public func waitForEnd(of process: pid_t, seconds: Double = 300) throws -> Int32 {
  let deadline = Date(timeIntervalSinceNow: seconds)
  while true {
    var status: Int32 = 0
    if waitpid(process, &status, WNOHANG) == process {
      return status & 0x7f == 0 ? (status >> 8) & 0xff : -(status & 0x7f)
    }
    if Date() > deadline {
      kill(process, SIGKILL)
      waitpid(process, &status, 0)
      throw TimedOut()
    }
    usleep(1000)
  }
}

// Two functions that glibc has but Swift's module map hides.

private func addDirectoryChange(_ actions: inout posix_spawn_file_actions_t, _ path: String) {
  typealias Function =
    @convention(c) (
      UnsafeMutablePointer<posix_spawn_file_actions_t>, UnsafePointer<CChar>
    ) -> Int32
  let symbol = hidden("posix_spawn_file_actions_addchdir_np")
  _ = unsafeBitCast(symbol, to: Function.self)(&actions, path)
}

/// Other tests have descriptors open which the programs should not get.
private func addClosing(_ actions: inout posix_spawn_file_actions_t, from first: Int32) {
  typealias Function =
    @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
  let symbol = hidden("posix_spawn_file_actions_addclosefrom_np")
  _ = unsafeBitCast(symbol, to: Function.self)(&actions, first)
}

private func hidden(_ name: String) -> UnsafeMutableRawPointer {
  dlsym(dlopen(nil, RTLD_NOW), name)!
}

/// A program ran longer than the test gives it.
public struct TimedOut: Error {}

/// What a run of a program shows to the outside.
public struct Outcome: Equatable, Sendable, CustomStringConvertible {
  public var output: String
  public var errors: String
  public var status: Int32

  public var description: String {
    "status \(status)\n--- stdout\n\(output)--- stderr\n\(errors)---"
  }
}

/// A directory for one test's files, which the programs run in.
public final class Workplace {
  public let path: String

  public init() throws {
    path = NSTemporaryDirectory() + "/milonga-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  public func write(_ text: String, to name: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/" + name))
  }

  /// The text of a file. Bytes that are not UTF-8 are repaired.
  public func read(_ name: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(fileURLWithPath: path + "/" + name)), as: UTF8.self)
  }

  /// Starts a program with its output going to the files `stdout` and `stderr`.
  public func start(
    _ program: Program, _ arguments: [String], input: String = "",
    environment: [String: String] = [:], session: Bool = false
  ) throws -> pid_t {
    try write(input, to: "stdin")
    try write("", to: "stdout")
    try write("", to: "stderr")
    return try program.start(arguments, environment: environment, session: session) { actions in
      addDirectoryChange(&actions, path)
      posix_spawn_file_actions_addopen(&actions, 0, "stdin", O_RDONLY, 0)
      posix_spawn_file_actions_addopen(&actions, 1, "stdout", O_WRONLY | O_APPEND, 0)
      posix_spawn_file_actions_addopen(&actions, 2, "stderr", O_WRONLY | O_APPEND, 0)
    }
  }

  /// Runs a program to its end.
  ///
  /// - Parameter session: runs it in a session of its own, and in the end kills what it has started
  ///   and left behind.
  public func run(
    _ program: Program, _ arguments: [String], input: String = "",
    environment: [String: String] = [:], seconds: Double = 300, session: Bool = false
  ) throws -> Outcome {
    let process = try start(
      program, arguments, input: input, environment: environment, session: session)
    defer { if session { kill(-process, SIGKILL) } }
    let status = try waitForEnd(of: process, seconds: seconds)
    return Outcome(output: try read("stdout"), errors: try read("stderr"), status: status)
  }
}
