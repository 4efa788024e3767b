import MilongaRPC

/// An object that is handed out by reference.
///
/// ```swift
/// final class Counter: RPCObject {
///   private let count = Mutex(0)
///   static let methods = RPCMethods<Counter> {
///     $0.register("add") { counter, amount in counter.add(amount) }
///   }
///   ...
/// }
/// api.register(object: "counter") { (start: Int) in Counter(start) }
/// ```
///
/// A connection of tango keeps the object until the peer releases it (in Lua: `tango.unref`, or the
/// collector; in Swift: the last `TangoReference` goes) or the connection ends. Lua RPC cannot
/// release objects: its connections keep them until they end.
public protocol RPCObject: AnyObject, Sendable {
  /// What peers may call.
  static var methods: RPCMethods<Self> { get }
}

/// The methods of a ``RPCObject``.
public struct RPCMethods<Object: Sendable>: Sendable {
  @usableFromInline typealias Body = @Sendable (Object) -> RPCFunction.Body
  private(set) var table = NameTable<Body>()

  /// Registers the methods.
  public init(_ register: (inout RPCMethods) -> Void) { register(&self) }

  @usableFromInline
  subscript(name: String) -> Body? {
    get { table[name] }
    set { table[name] = newValue }
  }

  /// Registers a method that does not wait; see ``RPCNamespace``.
  @inlinable
  public mutating func register<each Argument: Decodable & Sendable, Result: Encodable & Sendable>(
    _ name: String, _ body: @escaping @Sendable (Object, repeat each Argument) throws -> Result
  ) {
    self[name] = { object in
      .direct { (arguments: repeat each Argument) in try body(object, repeat each arguments) }
    }
  }

  /// The same without a result.
  @_disfavoredOverload
  @inlinable
  public mutating func register<each Argument: Decodable & Sendable>(
    _ name: String, _ body: @escaping @Sendable (Object, repeat each Argument) throws -> Void
  ) {
    self[name] = { object in
      .direct { (arguments: repeat each Argument) in try body(object, repeat each arguments) }
    }
  }

  /// The same with several results.
  @inlinable
  public mutating func register<
    each Argument: Decodable & Sendable, First: Encodable & Sendable,
    Second: Encodable & Sendable, each Result: Encodable & Sendable
  >(
    _ name: String,
    _ body:
      @escaping @Sendable (Object, repeat each Argument) throws -> (
        First, Second, repeat each Result
      )
  ) {
    self[name] = { object in
      .direct { (arguments: repeat each Argument) in try body(object, repeat each arguments) }
    }
  }

  /// Registers an async method.
  @_disfavoredOverload
  @inlinable
  public mutating func register<each Argument: Decodable & Sendable, Result: Encodable & Sendable>(
    _ name: String,
    _ body: @escaping @Sendable (Object, repeat each Argument) async throws -> Result
  ) {
    self[name] = { object in
      .async { (arguments: repeat each Argument) in
        try await body(object, repeat each arguments)
      }
    }
  }

  /// The same without a result.
  @_disfavoredOverload
  @inlinable
  public mutating func register<each Argument: Decodable & Sendable>(
    _ name: String, _ body: @escaping @Sendable (Object, repeat each Argument) async throws -> Void
  ) {
    self[name] = { object in
      .async { (arguments: repeat each Argument) in
        try await body(object, repeat each arguments)
      }
    }
  }
}

extension RPCObject {
  /// The method of this name, bound to the object; nil when there is none.
  package func method(_ name: UnsafeRawBufferPointer) -> RPCFunction.Body? {
    Self.methods.table[name]?(self)
  }
}
