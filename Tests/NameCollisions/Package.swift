// swift-tools-version: 6.1
import PackageDescription

// A program that uses Milonga, and has targets with names that Milonga's own targets once had. It
// resolves and builds only while Milonga has no target of these names. Run it by hand: swift run
// --package-path Tests/NameCollisions
let package = Package(
  name: "name-collisions",
  platforms: [.macOS(.v15)],
  dependencies: [
    // Without the trait NIO, so that SwiftNIO is not fetched.
    .package(name: "milonga", path: "../..", traits: [])
  ],
  targets: [
    .target(name: "CLua"),
    .target(name: "CShims"),
    .target(name: "IO"),
    .target(name: "Lua"),
    .target(name: "RPC"),
    .target(name: "Scheduler"),
    .target(name: "TestSupport"),
    .executableTarget(
      name: "name-collisions",
      dependencies: [
        "CLua", "CShims", "IO", "Lua", "RPC", "Scheduler", "TestSupport",
        .product(name: "MilongaLua", package: "milonga"),
        .product(name: "MilongaRPC", package: "milonga"),
      ]),
  ])
