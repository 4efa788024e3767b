public import MilongaRPC
import NIOCore
import Tracing

/// A function, a variable or a table of a server, by its path.
///
/// Calling it sends the arguments and awaits the results. Anything `Encodable` is an argument: structs travel as
/// tables with string keys, arrays as tables of elements. Results have the types that the context asks for.
///
/// All calls throw ``TangoRemoteError`` (the function's error), ``TangoError`` (what happened to the call) or
/// `CancellationError`.
@dynamicMemberLookup
public struct TangoPath: Sendable {
  let client: TangoClient
  let path: String
  var timeout: Duration?? = nil

  /// A server's functions, with a timeout of their own.
  @dynamicMemberLookup
  public struct Root: Sendable {
    let client: TangoClient
    let timeout: Duration?

    public subscript(dynamicMember name: String) -> TangoPath { self[path: name] }

    public subscript(path path: String) -> TangoPath {
      TangoPath(client: client, path: path, timeout: .some(timeout))
    }
  }

  /// What is inside of the table of this path.
  public subscript(dynamicMember name: String) -> TangoPath { self[path: name] }

  /// The same for names that are no identifiers of Swift.
  public subscript(path path: String) -> TangoPath {
    TangoPath(client: client, path: "\(self.path).\(path)", timeout: timeout)
  }

  // MARK: Calling

  /// Calls, and gives the first result as it came.
  @discardableResult
  public func callAsFunction<each Argument: Encodable & Sendable>(
    _ arguments: repeat each Argument
  ) async throws -> TangoValue {
    try await perform(with: encoded(repeat each arguments)) { $0.value(at: 1) }
  }

  /// Calls, and gives the first result as the type asked for.
  @_disfavoredOverload
  public func callAsFunction<each Argument: Encodable & Sendable, Result: Decodable & Sendable>(
    _ arguments: repeat each Argument
  ) async throws -> Result {
    try await perform(with: encoded(repeat each arguments)) { [path] in
      try $0.result(Result.self, at: 1, path)
    }
  }

  /// Calls, and gives several results as the types asked for.
  @_disfavoredOverload
  public func callAsFunction<
    each Argument: Encodable & Sendable, First: Decodable & Sendable,
    Second: Decodable & Sendable, each Result: Decodable & Sendable
  >(
    _ arguments: repeat each Argument
  ) async throws -> (First, Second, repeat each Result) {
    try await perform(with: encoded(repeat each arguments)) { [path] answer in
      var index = 2
      func next<T: Decodable>(_ type: T.Type) throws -> T {
        index += 1
        return try answer.result(type, at: index, path)
      }
      let first = try answer.result(First.self, at: 1, path)
      let second = try answer.result(Second.self, at: 2, path)
      return (first, second, repeat try next((each Result).self))
    }
  }

  /// Calls with arguments, and gives all results, whose types and number need not be known.
  public func call(_ arguments: [TangoValue] = []) async throws -> [TangoValue] {
    try await perform(with: arguments.map { .value($0) }) { answer in
      (1..<max(1, answer.count)).map { answer.value(at: $0) }
    }
  }

  /// Calls a function that returns an object, and keeps the object on the server: see ``TangoReference``.
  public func reference<each Argument: Encodable & Sendable>(
    _ arguments: repeat each Argument
  ) async throws -> TangoReference {
    let creation = TangoPath(client: client, path: "tango.ref_create", timeout: timeout)
    let connection = try await client.connection(within: patience)
    let arguments = [.string(path)] + (try creation.encoded(repeat each arguments))
    let id: String = try await creation.perform(on: connection, with: arguments) { [path] in
      try $0.result(String.self, at: 1, path)
    }
    return TangoReference(id: id, client: client, connection: connection, timeout: timeout)
  }

  // MARK: The call itself

  /// - Throws: ``TangoError/unsendable(path:reason:)``.
  func encoded<each Value: Encodable>(_ values: repeat each Value) throws -> [EncodedValue] {
    var encoded: [EncodedValue] = []
    do {
      for value in repeat each values { encoded.append(try EncodedValue(value)) }
    } catch {
      throw TangoError.unsendable(path: path, reason: "\(error)")
    }
    return encoded
  }

  /// - Parameters:
  ///   - connection: nil for any.
  ///   - decode: makes the results, from element 1 on.
  func perform<Results: Sendable>(
    on connection: TangoConnection? = nil, with arguments: [EncodedValue],
    decode: @escaping (MessageElements) throws -> Results
  ) async throws -> Results {
    guard let tracer = client.tracer else {
      return try await exchange(on: connection, with: arguments, decode: decode)
    }
    return try await tracer.withSpan(path, ofKind: .client) { span in
      span.attributes["server.address"] = client.host
      span.attributes["server.port"] = client.port
      return try await exchange(on: connection, with: arguments, decode: decode)
    }
  }

  /// How long a call may take; nil for no limit.
  private var patience: Duration? { timeout ?? client.configuration.timeout }

  private func exchange<Results: Sendable>(
    on connection: TangoConnection?, with arguments: [EncodedValue],
    decode: @escaping (MessageElements) throws -> Results
  ) async throws -> Results {
    let seconds = patience
    let deadline = seconds.map {
      Int64((NIODeadline.now() + TimeAmount($0)).uptimeNanoseconds)
    }
    let call = TypedCall(path: path, decode: decode)
    let connection =
      if let connection = connection ?? client.openConnection { connection } else {
        try await client.connection(within: seconds)
      }
    do {
      return try await withTaskCancellationHandler {
        try await withUnsafeThrowingContinuation { continuation in
          call.continuation = continuation
          connection.start(call, deadline: deadline, arguments)
        }
      } onCancel: {
        connection.cancel(call)
      }
    } catch is DeadlinePassed {
      throw TangoError.timedOut(path: path, seconds: seconds! / .seconds(1))
    }
  }
}

extension MessageElements {
  /// Result `index` of the function at `path`, counted from 1.
  func result<T: Decodable>(
    _ type: T.Type, at index: Int, _ path: String
  ) throws -> T {
    do {
      return try decode(type, at: index)
    } catch let error as TangoTypeError {
      throw TangoError.unexpectedResult(path: path, index: index, error: error)
    }
  }
}
