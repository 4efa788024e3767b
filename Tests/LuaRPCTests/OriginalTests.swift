import Foundation
import MilongaTestSupport
import Testing

/// The original Lua RPC of Eclipse Mihini, on Lua 5.1, on one side of the connection.
///
/// It is no package of Debian's: `MILONGA_RPC_ORIGINAL` names a folder with a file `env.sh` that
/// sets `LUA_PATH` and `LUA_CPATH` so that `lua5.1` finds the original's modules `sched` and `rpc`.
@Suite("The original rpc")
struct OriginalTests {
  /// The original's folder, when there is one.
  static let folders = [ProcessInfo.processInfo.environment["MILONGA_RPC_ORIGINAL"]]
    .compactMap { $0 }

  /// What we are; the other side is the original.
  @Test(arguments: folders, ["client", "server"])
  func `calls in both directions`(_ folder: String, _ side: String) throws {
    let script = try #require(Script.all().first { $0.name == "original" })
    var environment = script.environment
    environment["MILONGA_RPC_ORIGINAL"] = folder
    checkReport(
      try LuaHost.milonga.run(
        [script.path, side], in: Workplace(), environment: environment))
  }
}
