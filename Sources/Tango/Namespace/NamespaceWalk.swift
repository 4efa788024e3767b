import MilongaRPC

/// A place in a namespace, for the dispatcher.
struct NamespaceWalk: NamespaceCursor {
  private(set) var node: TangoNamespace.Node

  init(_ namespace: TangoNamespace) { node = namespace.root }

  /// What is not registered does not exist, not even as a variable without value.
  mutating func descend(_ name: UnsafeRawBufferPointer) -> Bool {
    guard case .table(let table) = node, let next = table[name] else { return false }
    node = next
    return true
  }

  var isCallable: Bool { if case .function = node { true } else { false } }
}
