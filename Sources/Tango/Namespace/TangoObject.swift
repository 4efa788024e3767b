import MilongaRPC

/// An object that a server hands out by reference.
///
/// ```swift
/// final class Counter: TangoObject {
///   private let count = Mutex(0)
///   static let methods = TangoMethods<Counter> {
///     $0.register("add") { counter, amount in counter.add(amount) }
///   }
///   ...
/// }
/// api.register(object: "counter") { (start: Int) in Counter(start) }
/// ```
///
/// It lives until the peer releases it (in Lua: `tango.unref`, or the collector; in Swift: the last
/// ``TangoReference`` goes) or the connection ends.
public protocol TangoObject: AnyObject, Sendable {
  /// What peers may call.
  static var methods: TangoMethods<Self> { get }
}

/// The methods of a ``TangoObject``.
public struct TangoMethods<Object: Sendable>: Sendable {
  typealias Body = @Sendable (Object) -> RemoteFunction.Body
  private(set) var table = NameTable<Body>()

  /// Registers the methods.
  public init(_ register: (inout TangoMethods) -> Void) { register(&self) }

  /// Registers a method that does not wait; see ``TangoNamespace``.
  public mutating func register<each Argument: Decodable & Sendable, Result: Encodable & Sendable>(
    _ name: String, _ body: @escaping @Sendable (Object, repeat each Argument) throws -> Result
  ) {
    table[name] = { object in
      .direct { (arguments: repeat each Argument) in try body(object, repeat each arguments) }
    }
  }

  /// The same without a result.
  @_disfavoredOverload
  public mutating func register<each Argument: Decodable & Sendable>(
    _ name: String, _ body: @escaping @Sendable (Object, repeat each Argument) throws -> Void
  ) {
    table[name] = { object in
      .direct { (arguments: repeat each Argument) in try body(object, repeat each arguments) }
    }
  }

  /// The same with several results.
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
    table[name] = { object in
      .direct { (arguments: repeat each Argument) in try body(object, repeat each arguments) }
    }
  }

  /// Registers an async method.
  @_disfavoredOverload
  public mutating func register<each Argument: Decodable & Sendable, Result: Encodable & Sendable>(
    _ name: String,
    _ body: @escaping @Sendable (Object, repeat each Argument) async throws -> Result
  ) {
    table[name] = { object in
      .async { (arguments: repeat each Argument) in
        try await body(object, repeat each arguments)
      }
    }
  }

  /// The same without a result.
  @_disfavoredOverload
  public mutating func register<each Argument: Decodable & Sendable>(
    _ name: String, _ body: @escaping @Sendable (Object, repeat each Argument) async throws -> Void
  ) {
    table[name] = { object in
      .async { (arguments: repeat each Argument) in
        try await body(object, repeat each arguments)
      }
    }
  }
}

extension TangoObject {
  /// The method of this name, bound to the object; nil when there is none.
  package func method(_ name: UnsafeRawBufferPointer) -> RemoteFunction.Body? {
    Self.methods.table[name]?(self)
  }
}
