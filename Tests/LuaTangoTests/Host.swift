import Foundation
import TestSupport
import Testing

/// A Lua that runs a script.
enum Host: String, Sendable, CustomStringConvertible {
  case milonga
  /// The stock Lua, with our modules from `build/milonga.so`.
  case module = "lua5.4 with milonga.so"
  /// The stock Lua that the original runs on, without any of ours.
  case lua51 = "lua5.1"

  var description: String { rawValue }

  /// The package's folder.
  static let package = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  /// The words of a command line that come before the script.
  func command() throws -> [String] {
    switch self {
    case .milonga: return [Program.milonga.path]
    case .lua51: return ["lua5.1"]
    case .module:
      let folder = Self.package + "/build"
      try #require(
        FileManager.default.fileExists(atPath: folder + "/milonga.so"),
        "build/milonga.so is missing: run `make build` first")
      let chunk = "package.cpath = '\(folder)/?.so;' .. package.cpath require 'milonga'"
      return ["lua5.4", "-e", chunk]
    }
  }

  /// Runs a command line in a session of its own, so that no server stays behind.
  func run(
    _ arguments: [String], in place: Workplace, folder: String = ".",
    environment: [String: String] = [:], seconds: Double = 30
  ) throws -> Outcome {
    let variables = environment.merging(["MILONGA": Program.milonga.path]) { $1 }
    let shell = ["-c", "cd \"$0\" && exec \"$@\"", folder]
    return try place.run(
      .shell, shell + command() + arguments, environment: variables, seconds: seconds,
      session: true)
  }
}
