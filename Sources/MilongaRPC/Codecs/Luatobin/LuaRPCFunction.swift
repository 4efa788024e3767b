/// The functions of Lua RPC that every peer has, whatever it offers besides.
public enum LuaRPCFunction: Sendable, CaseIterable {
  /// `__rpceval(path)`: the value of a variable.
  case evaluate
  /// `__rpcbuildexec(script)`: compiles a script and keeps it; answers with its number.
  case build
  /// `__rpcrunexec(number, ...)`: runs a script that was kept.
  case run
  /// `__rpcinvoke(object, name, ...)`: calls a method of a remote object.
  case invoke
  /// `__call0(...)`: announced by the original, which does not have it either.
  case call0

  /// The name on the wire.
  public var name: StaticString {
    switch self {
    case .evaluate: "__rpceval"
    case .build: "__rpcbuildexec"
    case .run: "__rpcrunexec"
    case .invoke: "__rpcinvoke"
    case .call0: "__call0"
    }
  }

  /// The function of this name; nil when it is another one.
  @inlinable
  public init?(_ name: UnsafeRawBufferPointer) {
    guard name.count > 2, name[0] == UInt8(ascii: "_"), name[1] == UInt8(ascii: "_") else {
      return nil
    }
    self.init(reserved: name)
  }

  @usableFromInline
  init?(reserved name: UnsafeRawBufferPointer) {
    for function in Self.allCases where name.isEqual(to: function.name) {
      self = function
      return
    }
    return nil
  }
}

/// Objects by reference: what stands in the place of a value of luatobin.
public enum PeerObject {
  /// The tag of an object of the sender; its id follows.
  public static let ofSender = UInt8(ascii: "!")

  /// The tag of an object of the receiver, handed back.
  public static let ofReceiver = UInt8(ascii: "?")
}

/// The parts of a path such as `sensors.3.name`, as slices of its bytes: what is between dots and
/// not empty. A part that spells a number means that number.
public struct PeerPath: Sequence, IteratorProtocol {
  @usableFromInline var rest: UnsafeRawBufferPointer

  /// The parts of `bytes`, which must stay valid while they are used.
  @inlinable public init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

  /// The next part, or nil after the last one.
  @inlinable
  public mutating func next() -> UnsafeRawBufferPointer? {
    while !rest.isEmpty {
      let end = rest.firstIndex(of: UInt8(ascii: ".")) ?? rest.count
      let part = UnsafeRawBufferPointer(rebasing: rest[..<end])
      rest = UnsafeRawBufferPointer(rebasing: rest[Swift.min(end + 1, rest.count)...])
      if !part.isEmpty { return part }
    }
    return nil
  }
}
