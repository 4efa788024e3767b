import MilongaRPC
import RPCRuntime

/// A place in a namespace, for the path resolver.
struct NamespaceWalk: NamespaceCursor {
  private(set) var node: RPCNamespace.Node

  init(_ namespace: RPCNamespace) { node = namespace.root }

  /// What is not registered does not exist, not even as a variable without value.
  mutating func descend(_ name: UnsafeRawBufferPointer) -> Bool {
    guard let next = node.member(name) else { return false }
    node = next
    return true
  }

  var isCallable: Bool { if case .function = node { true } else { false } }
}
