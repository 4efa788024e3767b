import Foundation

/// A Lua script of a test target.
public struct Script: Sendable, CustomStringConvertible {
  public let path: String

  /// The name without `.lua`.
  public var name: String { URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent }

  public var description: String { name }

  /// The variable that lets the program find the modules in `Scripts/support`, and the modules of
  /// all tests.
  public var environment: [String: String] {
    let target = URL(fileURLWithPath: path).deletingLastPathComponent().deletingLastPathComponent()
    let shared = target.deletingLastPathComponent().path + "/MilongaTestSupport/Lua/?.lua"
    return ["LUA_PATH": "\(target.path)/Scripts/support/?.lua;\(shared);;"]
  }

  /// All scripts of a folder beside the source file of a test, by name.
  public static func all(besides file: String = #filePath, in name: String = "Scripts") -> [Script]
  {
    let folder = URL(fileURLWithPath: file).deletingLastPathComponent().path + "/" + name
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter { $0.hasSuffix(".lua") }.sorted().map { Script(path: folder + "/" + $0) }
  }
}
