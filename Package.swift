// swift-tools-version: 6.1
import PackageDescription

/// A module that only the products on SwiftNIO need. A package that depends on Milonga with
/// `traits: []` does not fetch it.
func nio(_ module: String, _ package: String) -> Target.Dependency {
  .product(name: module, package: package, condition: .when(traits: ["NIO"]))
}

let package = Package(
  name: "milonga",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "milonga", targets: ["milonga"]),
    .library(name: "MilongaModule", type: .static, targets: ["MilongaModule"]),
    .library(name: "MilongaLua", targets: ["MilongaLua"]),
    .library(name: "Milonga", targets: ["Milonga"]),
    .library(name: "MilongaRPC", targets: ["MilongaRPC"]),
  ],
  traits: [
    .trait(name: "NIO", description: "The products Tango and DeviceRPC, which stand on SwiftNIO."),
    .default(enabledTraits: ["NIO"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.4.0"),
  ],
  targets: [
    .systemLibrary(name: "CMilongaLua", pkgConfig: "lua5.4", providers: [.apt(["liblua5.4-dev"])]),
    .target(name: "CMilongaMemory"),
    .target(
      name: "CMilongaShims",
      dependencies: [
        "CMilongaLua", "CMilongaMemory",
      ]),
    .target(name: "CMilongaTurns"),
    .target(
      name: "MilongaLua",
      dependencies: [
        "CMilongaLua", "CMilongaMemory", "CMilongaShims",
      ]),
    .target(
      name: "MilongaIO",
      dependencies: [
        "CMilongaMemory", "CMilongaShims",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "SystemPackage", package: "swift-system"),
      ]),
    .target(
      name: "MilongaScheduler",
      dependencies: [
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "HeapModule", package: "swift-collections"),
      ]),
    .target(
      name: "MilongaRPC",
      dependencies: [
        "CMilongaMemory"
      ]),
    .target(
      name: "LuaSocket",
      dependencies: [
        "CMilongaLua", "CMilongaMemory", "CMilongaShims", "MilongaIO", "MilongaLua",
        .product(name: "SystemPackage", package: "swift-system"),
      ]),
    .target(name: "CMilongaFiles"),
    .target(
      name: "LuaFiles",
      dependencies: [
        "CMilongaFiles", "CMilongaLua", "CMilongaShims", "MilongaLua",
      ],
      exclude: ["lua"]),
    .target(
      name: "Copas",
      dependencies: [
        "CMilongaLua", "CMilongaMemory", "CMilongaShims", "CMilongaTurns", "LuaFiles", "LuaSocket",
        "MilongaIO", "MilongaLua", "MilongaScheduler",
        .product(name: "SystemPackage", package: "swift-system"),
      ]),
    .target(
      name: "XPIO",
      dependencies: [
        "CMilongaLua", "CMilongaShims", "Copas", "MilongaIO", "MilongaLua", "MilongaScheduler",
        .product(name: "SystemPackage", package: "swift-system"),
      ]),
    .target(
      name: "LuaCodec",
      dependencies: [
        "CMilongaLua", "CMilongaShims", "MilongaLua", "MilongaRPC",
      ]),
    .target(
      name: "LuaConnection",
      dependencies: [
        "CMilongaLua", "CMilongaShims", "Copas", "LuaSocket", "MilongaIO", "MilongaLua",
        "MilongaRPC", "MilongaScheduler",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SystemPackage", package: "swift-system"),
      ]),
    .target(
      name: "LuaTango",
      dependencies: [
        "CMilongaLua", "CMilongaShims", "Copas", "LuaCodec", "LuaConnection", "LuaSocket",
        "MilongaIO", "MilongaLua", "MilongaRPC", "MilongaScheduler",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "SystemPackage", package: "swift-system"),
      ]),
    .target(
      name: "LuaRPC",
      dependencies: [
        "CMilongaLua", "CMilongaShims", "Copas", "LuaCodec", "LuaConnection", "LuaSocket",
        "MilongaIO", "MilongaLua", "MilongaRPC", "MilongaScheduler",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "SystemPackage", package: "swift-system"),
      ]),
    .target(
      name: "CMilongaModule",
      dependencies: [
        "CMilongaLua", "CMilongaShims",
      ]),
    .target(
      name: "MilongaModule",
      dependencies: [
        "CMilongaModule", "Copas", "LuaFiles", "LuaRPC", "LuaSocket", "LuaTango", "MilongaLua",
        "XPIO",
      ]),
    .target(name: "Milonga", dependencies: ["Copas", "MilongaLua", "MilongaModule"]),
    .executableTarget(
      name: "milonga",
      dependencies: [
        "CMilongaLua", "CMilongaShims", "LuaFiles", "MilongaLua", "MilongaModule",
      ]),
    .target(name: "MilongaTestSupport", path: "Tests/MilongaTestSupport", exclude: ["Lua"]),
    .testTarget(
      name: "CommandLineTests",
      dependencies: [
        "milonga", "MilongaTestSupport",
      ]),
    .testTarget(
      name: "CopasTests",
      dependencies: [
        "CMilongaTurns", "Copas", "LuaSocket", "milonga", "MilongaIO", "MilongaLua",
        "MilongaModule", "MilongaScheduler", "MilongaTestSupport",
      ],
      exclude: ["Scripts"]),
    .testTarget(
      name: "MilongaIOTests",
      dependencies: [
        "MilongaIO", "MilongaTestSupport",
        .product(name: "SystemPackage", package: "swift-system"),
      ]),
    .testTarget(
      name: "LuaSocketTests",
      dependencies: [
        "LuaSocket", "milonga", "MilongaIO", "MilongaLua", "MilongaTestSupport",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      exclude: ["MilongaOnly", "Scripts"]),
    .testTarget(
      name: "LuaRPCTests",
      dependencies: [
        "LuaRPC", "MilongaScheduler", "milonga", "MilongaTestSupport",
      ], exclude: ["Scripts"]),
    .testTarget(
      name: "LuaTangoTests",
      dependencies: [
        "LuaTango", "milonga", "MilongaScheduler", "MilongaTestSupport",
      ], exclude: ["Scripts"]),
    .testTarget(
      name: "MilongaLuaTests",
      dependencies: [
        "MilongaLua", "MilongaTestSupport",
      ],
      exclude: ["Adversarial", "Differential"]),
    .testTarget(
      name: "MemoryTests",
      dependencies: [
        "milonga", "MilongaTestSupport",
      ],
      exclude: ["Limited", "Scripts"]),
    .testTarget(
      name: "ObjectTests",
      dependencies: [
        "milonga", "MilongaTestSupport",
      ], exclude: ["Scripts"]),
    .testTarget(
      name: "MilongaRPCTests",
      dependencies: [
        "MilongaRPC", "MilongaTestSupport",
      ], exclude: ["Tango2/tango2-frames.txt"]),
    .testTarget(
      name: "MilongaSchedulerTests",
      dependencies: [
        "MilongaScheduler", "MilongaTestSupport",
      ]),
    .testTarget(name: "SourceTests"),
    .testTarget(
      name: "XPIOTests",
      dependencies: [
        "milonga", "MilongaTestSupport",
      ], exclude: ["Scripts"]),
  ],
  swiftLanguageModes: [.v6]
)

// What stands on SwiftNIO. The sanitized build does without it: NIO takes minutes to compile.
if Context.environment["MILONGA_WITHOUT_NIO"] == nil {
  package.products += [
    .library(name: "DeviceRPC", targets: ["DeviceRPC"]),
    .library(name: "RPCRuntime", targets: ["RPCRuntime"]),
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
      name: "RPCRuntime",
      dependencies: [
        "CMilongaTurns", "MilongaRPC",
        .product(name: "DequeModule", package: "swift-collections"),
        nio("Instrumentation", "swift-distributed-tracing"),
        .product(name: "Logging", package: "swift-log"),
        nio("Metrics", "swift-metrics"),
        nio("NIOConcurrencyHelpers", "swift-nio"),
        nio("NIOCore", "swift-nio"),
        nio("NIOPosix", "swift-nio"),
        nio("NIOSSL", "swift-nio-ssl"),
        nio("ServiceLifecycle", "swift-service-lifecycle"),
        nio("Tracing", "swift-distributed-tracing"),
      ],
      swiftSettings: [.enableUpcomingFeature("InternalImportsByDefault")]),
    .target(
      name: "Tango",
      dependencies: [
        "CMilongaTurns", "MilongaRPC", "RPCRuntime",
        .product(name: "Logging", package: "swift-log"),
        nio("NIOConcurrencyHelpers", "swift-nio"),
        nio("NIOCore", "swift-nio"),
        nio("NIOPosix", "swift-nio"),
        nio("NIOSSL", "swift-nio-ssl"),
        nio("NIOTLS", "swift-nio"),
        nio("ServiceLifecycle", "swift-service-lifecycle"),
        nio("Tracing", "swift-distributed-tracing"),
      ],
      swiftSettings: [.enableUpcomingFeature("InternalImportsByDefault")]),
    .target(
      name: "DeviceRPC",
      dependencies: [
        "CMilongaTurns", "MilongaRPC", "RPCRuntime",
        .product(name: "DequeModule", package: "swift-collections"),
        nio("Instrumentation", "swift-distributed-tracing"),
        .product(name: "Logging", package: "swift-log"),
        nio("NIOConcurrencyHelpers", "swift-nio"),
        nio("NIOCore", "swift-nio"),
        nio("NIOPosix", "swift-nio"),
        nio("NIOSSL", "swift-nio-ssl"),
        nio("NIOTLS", "swift-nio"),
        nio("ServiceLifecycle", "swift-service-lifecycle"),
        nio("Tracing", "swift-distributed-tracing"),
      ],
      swiftSettings: [.enableUpcomingFeature("InternalImportsByDefault")]),
    .executableTarget(
      name: "swift-server",
      dependencies: [
        "Tango"
      ], path: "Examples/swift-server",
      exclude: ["client.lua"]),
    .executableTarget(
      name: "swift-client",
      dependencies: [
        "Tango"
      ], path: "Examples/swift-client",
      exclude: ["server.lua"]),
    .executableTarget(
      name: "swift-rules",
      dependencies: [
        "MilongaLua", "MilongaRPC", "Tango",
      ],
      path: "Examples/swift-rules",
      exclude: ["rules.lua"]),
    .executableTarget(
      name: "tango-swift",
      dependencies: [
        "Tango",
        nio("NIOCore", "swift-nio"),
        nio("NIOPosix", "swift-nio"),
      ],
      path: "Benchmarks/tango-swift"),
    .target(
      name: "MilongaNIOTestSupport",
      dependencies: [
        "MilongaTestSupport",
        nio("InMemoryTracing", "swift-distributed-tracing"),
        nio("Instrumentation", "swift-distributed-tracing"),
        .product(name: "Logging", package: "swift-log"),
        nio("Metrics", "swift-metrics"),
        nio("MetricsTestKit", "swift-metrics"),
        nio("NIOConcurrencyHelpers", "swift-nio"),
        nio("NIOCore", "swift-nio"),
        nio("NIOPosix", "swift-nio"),
        nio("NIOSSL", "swift-nio-ssl"),
      ],
      path: "Tests/MilongaNIOTestSupport",
      swiftSettings: [.enableUpcomingFeature("InternalImportsByDefault")]),
    .testTarget(
      name: "DeviceRPCTests",
      dependencies: [
        "DeviceRPC", "milonga", "MilongaNIOTestSupport", "MilongaRPC", "MilongaTestSupport",
        "RPCRuntime",
        nio("MetricsTestKit", "swift-metrics"),
        nio("NIOConcurrencyHelpers", "swift-nio"),
        nio("NIOCore", "swift-nio"),
        nio("NIOEmbedded", "swift-nio"),
        nio("NIOPosix", "swift-nio"),
        nio("ServiceLifecycle", "swift-service-lifecycle"),
      ]),
    .testTarget(name: "RPCRuntimeTests", dependencies: ["MilongaTestSupport", "RPCRuntime"]),
    .testTarget(
      name: "TangoTests",
      dependencies: [
        "milonga", "MilongaNIOTestSupport", "MilongaRPC", "MilongaTestSupport", "RPCRuntime",
        "swift-client", "swift-rules", "swift-server", "Tango",
        nio("MetricsTestKit", "swift-metrics"),
        nio("NIOConcurrencyHelpers", "swift-nio"),
        nio("NIOCore", "swift-nio"),
        nio("NIOEmbedded", "swift-nio"),
        nio("NIOPosix", "swift-nio"),
        nio("ServiceLifecycle", "swift-service-lifecycle"),
      ]),
  ]
}
