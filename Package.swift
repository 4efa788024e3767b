// swift-tools-version: 6.0
import PackageDescription

let package = Package(
  name: "milonga",
  products: [
    .executable(name: "milonga", targets: ["milonga"]),
    .library(name: "MilongaModule", type: .static, targets: ["MilongaModule"]),
    .library(name: "Lua", targets: ["Lua"]),
    .library(name: "RPC", targets: ["RPC"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.4.0"),
  ],
  targets: [
    .systemLibrary(name: "CLua", pkgConfig: "lua5.4", providers: [.apt(["liblua5.4-dev"])]),
    .target(name: "CShims", dependencies: ["CLua"]),
    .target(name: "Lua", dependencies: ["CLua", "CShims"]),
    .target(
      name: "IO",
      dependencies: [
        "CShims",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "SystemPackage", package: "swift-system"),
      ]),
    .target(
      name: "Scheduler",
      dependencies: [
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "HeapModule", package: "swift-collections"),
      ]),
    .target(name: "RPC"),
    .target(name: "LuaSocket", dependencies: ["CLua", "CShims", "IO", "Lua", "LuaFiles"]),
    .target(name: "LuaFiles", exclude: ["lua"]),
    .target(name: "Copas", dependencies: ["IO", "Lua", "LuaSocket", "Scheduler"]),
    .target(name: "LuaCodec", dependencies: ["Lua", "RPC"]),
    .target(
      name: "LuaConnection",
      dependencies: [
        "Copas", "IO", "Lua", "LuaSocket", "RPC", .product(name: "Logging", package: "swift-log"),
      ]),
    .target(
      name: "LuaTango",
      dependencies: [
        "Copas", "IO", "Lua", "LuaCodec", "LuaConnection", "LuaSocket", "RPC", "Scheduler",
      ]),
    .target(
      name: "LuaRPC",
      dependencies: [
        "Copas", "IO", "Lua", "LuaCodec", "LuaConnection", "LuaSocket", "RPC", "Scheduler",
        .product(name: "DequeModule", package: "swift-collections"),
      ]),
    .target(
      name: "MilongaModule", dependencies: ["Copas", "Lua", "LuaRPC", "LuaSocket", "LuaTango"]),
    .executableTarget(
      name: "milonga", dependencies: ["CLua", "CShims", "Lua", "MilongaModule"]),
    .target(name: "TestSupport", path: "Tests/TestSupport", exclude: ["Lua"]),
    .testTarget(name: "CommandLineTests", dependencies: ["milonga", "TestSupport"]),
    .testTarget(
      name: "CopasTests", dependencies: ["milonga", "TestSupport"], exclude: ["Scripts"]),
    .testTarget(
      name: "IOTests",
      dependencies: [
        "IO", "TestSupport", .product(name: "SystemPackage", package: "swift-system"),
      ]),
    .testTarget(
      name: "LuaSocketTests",
      dependencies: [
        "IO", "Lua", "LuaSocket", "milonga", "TestSupport",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      exclude: ["Own", "Scripts"]),
    .testTarget(
      name: "LuaRPCTests", dependencies: ["milonga", "TestSupport"], exclude: ["Scripts"]),
    .testTarget(
      name: "LuaTangoTests", dependencies: ["milonga", "TestSupport"], exclude: ["Scripts"]),
    .testTarget(name: "LuaTests", dependencies: ["Lua"]),
    .testTarget(name: "RPCTests", dependencies: ["RPC", "TestSupport"]),
    .testTarget(name: "SchedulerTests", dependencies: ["Scheduler", "TestSupport"]),
    .testTarget(name: "SourceTests"),
  ],
  swiftLanguageModes: [.v6]
)
