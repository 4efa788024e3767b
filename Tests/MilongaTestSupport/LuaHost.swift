import Foundation

/// A Lua that runs a script.
public enum LuaHost: String, Sendable, CustomStringConvertible {
  case milonga
  /// The stock Lua, with our modules from `build/milonga.so`.
  case module = "lua5.4 with milonga.so"
  /// The stock Lua that the original runs on, without any of ours.
  case lua51 = "lua5.1"

  public var description: String { rawValue }

  /// The package's folder.
  public static let package = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  /// The words of a command line that come before the script.
  public func command() throws -> [String] {
    switch self {
    case .milonga: return [Program.milonga.path]
    case .lua51: return ["lua5.1"]
    case .module:
      let folder = Self.package + "/build"
      guard FileManager.default.fileExists(atPath: folder + "/milonga.so") else {
        throw Missing(description: "build/milonga.so is missing: run `make build` first")
      }
      let chunk = "package.cpath = '\(folder)/?.so;' .. package.cpath require 'milonga'"
      return ["lua5.4", "-e", chunk]
    }
  }

  /// Runs a command line in a session of its own, so that no server stays behind.
  public func run(
    _ arguments: [String], in place: Workplace, folder: String = ".",
    environment: [String: String] = [:], seconds: Double = 300
  ) throws -> Outcome {
    let variables = environment.merging(["MILONGA": Program.milonga.path]) { $1 }
    let shell = ["-c", "cd \"$0\" && exec \"$@\"", folder]
    return try place.run(
      .shell, shell + command() + arguments, environment: variables, seconds: seconds,
      session: true)
  }
}

/// Something that a test needs is not there.
public struct Missing: Error, CustomStringConvertible {
  public let description: String
  public init(description: String) { self.description = description }
}

/// What a script that uses `testing.lua` tells of its tests.
public struct ScriptReport {
  /// How many tests passed.
  public private(set) var passed = 0
  /// Each test that failed, and why.
  public private(set) var failures: [String] = []
  /// How many tests there were; nil when the script ended too early.
  public private(set) var planned: Int?

  /// Reads the output of a script.
  public init(_ output: String) {
    for line in output.split(separator: "\n") {
      if line.hasPrefix("ok - ") {
        passed += 1
      } else if line.hasPrefix("not ok - ") {
        failures.append(String(line.dropFirst("not ok - ".count)))
      } else if line.hasPrefix("1..") {
        planned = Int(line.dropFirst(3))
      } else if let last = failures.popLast() {
        failures.append(last + "\n" + line)
      }
    }
  }
}
