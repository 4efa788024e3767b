public import MilongaRPC

/// Something of the other side that can be called: a function or a variable by its path, a method
/// of an object, a script.
///
/// Calling it sends the arguments and awaits the results. Anything `Encodable` is an argument:
/// structs travel as tables with string keys, arrays as tables of elements. Results have the types
/// that the context asks for.
///
/// All calls throw ``RPCRemoteError`` (the function's error), an error of the protocol (what
/// happened to the call) or `CancellationError`.
public protocol RPCCallable: Sendable {
  /// Whether an object can be an argument, by reference.
  static var _sendsReferences: Bool { get }

  /// Sends the call and awaits its results. Programs do not use this: they call the callable.
  func _perform<Results: Sendable>(
    _ arguments: RPCArguments, decode: @escaping @Sendable (CallResults) throws -> Results
  ) async throws -> Results
}

extension RPCCallable {
  /// Calls, and gives the first result as it came. An object by reference counts as nil here: ask
  /// for its type.
  @discardableResult
  public func callAsFunction<each Argument: Encodable & Sendable>(
    _ arguments: repeat each Argument
  ) async throws -> RPCValue {
    try await _perform(
      RPCArguments(repeat each arguments, byReference: Self._sendsReferences)
    ) { $0.value(at: 1) }
  }

  /// Calls, and gives the first result as the type asked for.
  @_disfavoredOverload
  public func callAsFunction<each Argument: Encodable & Sendable, Result: Decodable & Sendable>(
    _ arguments: repeat each Argument
  ) async throws -> Result {
    try await _perform(
      RPCArguments(repeat each arguments, byReference: Self._sendsReferences)
    ) { try $0.decode(Result.self, at: 1) }
  }

  /// Calls, and gives several results as the types asked for.
  @_disfavoredOverload
  public func callAsFunction<
    each Argument: Encodable & Sendable, First: Decodable & Sendable,
    Second: Decodable & Sendable, each Result: Decodable & Sendable
  >(
    _ arguments: repeat each Argument
  ) async throws -> (First, Second, repeat each Result) {
    try await _perform(
      RPCArguments(repeat each arguments, byReference: Self._sendsReferences)
    ) { results in
      var index = 2
      func next<T: Decodable>(_ type: T.Type) throws -> T {
        index += 1
        return try results.decode(type, at: index)
      }
      let first = try results.decode(First.self, at: 1)
      let second = try results.decode(Second.self, at: 2)
      return (first, second, repeat try next((each Result).self))
    }
  }

  /// Calls with arguments, and gives all results, whose types and number need not be known.
  public func call(_ arguments: [RPCValue] = []) async throws -> [RPCValue] {
    try await _perform(RPCArguments(arguments)) { results in
      (1..<results.count + 1).map { results.value(at: $0) }
    }
  }
}
