// swift-tools-version: 6.0
import PackageDescription

let package = Package(
  name: "milonga",
  products: [
    .executable(name: "milonga", targets: ["milonga"]),
    .library(name: "MilongaModule", type: .static, targets: ["MilongaModule"]),
    .library(name: "Lua", targets: ["Lua"]),
    .library(name: "Milonga", targets: ["Copas", "Lua", "MilongaModule"]),
    .library(name: "RPC", targets: ["RPC"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.4.0"),
  ],
  targets: [
    .systemLibrary(name: "CLua", pkgConfig: "lua5.4", providers: [.apt(["liblua5.4-dev"])]),
    .target(name: "CMemory"),
    .target(name: "CShims", dependencies: ["CLua", "CMemory"]),
    .target(name: "CTurns"),
    .target(name: "Lua", dependencies: ["CLua", "CMemory", "CShims"]),
    .target(
      name: "IO",
      dependencies: [
        "CMemory", "CShims",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "SystemPackage", package: "swift-system"),
      ]),
    .target(
      name: "Scheduler",
      dependencies: [
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "HeapModule", package: "swift-collections"),
      ]),
    .target(name: "RPC", dependencies: ["CMemory"]),
    .target(
      name: "LuaSocket", dependencies: ["CLua", "CMemory", "CShims", "IO", "Lua", "LuaFiles"]),
    .target(name: "LuaFiles", exclude: ["lua"]),
    .target(
      name: "Copas",
      dependencies: ["CMemory", "CTurns", "IO", "Lua", "LuaSocket", "Scheduler"]),
    .target(
      name: "XPIO",
      dependencies: [
        "CLua", "CShims", "Copas", "IO", "Lua", "Scheduler",
        .product(name: "SystemPackage", package: "swift-system"),
      ]),
    .target(name: "LuaCodec", dependencies: ["Lua", "RPC"]),
    .target(
      name: "LuaConnection",
      dependencies: [
        "CLua", "CShims", "Copas", "IO", "Lua", "LuaSocket", "RPC", "Scheduler",
        .product(name: "Logging", package: "swift-log"),
      ]),
    .target(
      name: "LuaTango",
      dependencies: [
        "Copas", "IO", "Lua", "LuaCodec", "LuaConnection", "LuaSocket", "RPC", "Scheduler",
        .product(name: "DequeModule", package: "swift-collections"),
      ]),
    .target(
      name: "LuaRPC",
      dependencies: [
        "Copas", "IO", "Lua", "LuaCodec", "LuaConnection", "LuaSocket", "RPC", "Scheduler",
        .product(name: "DequeModule", package: "swift-collections"),
      ]),
    .target(name: "CModule", dependencies: ["CLua", "CShims"]),
    .target(
      name: "MilongaModule",
      dependencies: ["CModule", "Copas", "Lua", "LuaRPC", "LuaSocket", "LuaTango", "XPIO"]),
    .executableTarget(
      name: "milonga", dependencies: ["CLua", "CShims", "Lua", "MilongaModule"]),
    .target(name: "TestSupport", path: "Tests/TestSupport", exclude: ["Lua"]),
    .testTarget(name: "CommandLineTests", dependencies: ["milonga", "TestSupport"]),
    .testTarget(
      name: "CopasTests",
      dependencies: ["Copas", "Lua", "milonga", "MilongaModule", "TestSupport"],
      exclude: ["Scripts"]),
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
    .testTarget(
      name: "LuaTests", dependencies: ["Lua", "TestSupport"],
      exclude: ["Adversarial", "Differential"]),
    .testTarget(
      name: "MemoryTests", dependencies: ["milonga", "TestSupport"],
      exclude: ["Limited", "Scripts"]),
    .testTarget(name: "RPCTests", dependencies: ["RPC", "TestSupport"]),
    .testTarget(name: "SchedulerTests", dependencies: ["Scheduler", "TestSupport"]),
    .testTarget(name: "SourceTests"),
    .testTarget(name: "XPIOTests", dependencies: ["milonga", "TestSupport"], exclude: ["Scripts"]),
  ],
  swiftLanguageModes: [.v6]
)

// What stands on SwiftNIO. The sanitized build does without it: NIO takes minutes to compile.
if Context.environment["MILONGA_WITHOUT_NIO"] == nil {
  package.products += [
    .library(name: "DeviceRPC", targets: ["DeviceRPC"]),
    .library(name: "Tango", targets: ["Tango"]),
  ]
  package.dependencies += [
    .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.1.0"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.81.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.30.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
  ]
  package.targets += [
    .target(
      name: "NIOConnection",
      dependencies: [
        "RPC",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "Tracing", package: "swift-distributed-tracing"),
      ],
      swiftSettings: [.enableUpcomingFeature("InternalImportsByDefault")]),
    .target(
      name: "Tango",
      dependencies: [
        "CTurns", "NIOConnection", "RPC",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "Tracing", package: "swift-distributed-tracing"),
      ],
      swiftSettings: [.enableUpcomingFeature("InternalImportsByDefault")]),
    .target(
      name: "DeviceRPC",
      dependencies: [
        "CTurns", "NIOConnection", "RPC", "Tango",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "Tracing", package: "swift-distributed-tracing"),
      ],
      swiftSettings: [.enableUpcomingFeature("InternalImportsByDefault")]),
    .executableTarget(
      name: "swift-server", dependencies: ["Tango"], path: "Examples/swift-server",
      exclude: ["client.lua"]),
    .executableTarget(
      name: "swift-client", dependencies: ["Tango"], path: "Examples/swift-client",
      exclude: ["server.lua"]),
    .executableTarget(
      name: "swift-rules", dependencies: ["Lua", "RPC", "Tango"], path: "Examples/swift-rules",
      exclude: ["rules.lua"]),
    .executableTarget(
      name: "tango-swift",
      dependencies: ["Tango", .product(name: "NIOPosix", package: "swift-nio")],
      path: "Benchmarks/tango-swift"),
    .target(
      name: "NIOTestSupport",
      dependencies: [
        "TestSupport",
        .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "MetricsTestKit", package: "swift-metrics"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ],
      path: "Tests/NIOTestSupport",
      swiftSettings: [.enableUpcomingFeature("InternalImportsByDefault")]),
    .testTarget(
      name: "DeviceRPCTests",
      dependencies: [
        "DeviceRPC", "milonga", "NIOTestSupport", "RPC", "Tango", "TestSupport",
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOEmbedded", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ]),
    .testTarget(
      name: "TangoTests",
      dependencies: [
        "milonga", "NIOTestSupport", "RPC", "swift-client", "swift-rules", "swift-server", "Tango",
        "TestSupport",
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOEmbedded", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ]),
  ]
}
