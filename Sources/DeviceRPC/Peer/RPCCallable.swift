public import MilongaRPC
import NIOCore
import Tango
import Tracing

/// Something of the other side that can be called: a function by its path, a method of an object, a script.
///
/// Calling it sends the arguments and awaits the results. Anything `Encodable` is an argument: structs travel as
/// tables with string keys, arrays as tables of elements; an ``RPCReference`` or ``RPCShared`` goes by reference.
/// Results have the types that the context asks for.
///
/// All calls throw ``RPCRemoteError`` (the function's error), ``RPCError`` (what happened to the call) or
/// `CancellationError`.
public protocol RPCCallable: Sendable {
  /// What is called, and how.
  var _callee: RPCCallee { get }
}

extension RPCCallable {
  /// Calls, and gives the first result as it came. An object by reference counts as nil here: ask for an
  /// ``RPCReference``.
  @discardableResult
  public func callAsFunction<each Argument: Encodable & Sendable>(
    _ arguments: repeat each Argument
  ) async throws -> RPCValue {
    try await _callee.perform(with: _callee.encoded(repeat each arguments)) { $0.value(at: 0) }
  }

  /// Calls, and gives the first result as the type asked for.
  @_disfavoredOverload
  public func callAsFunction<each Argument: Encodable & Sendable, Result: Decodable & Sendable>(
    _ arguments: repeat each Argument
  ) async throws -> Result {
    let name = _callee.name
    return try await _callee.perform(with: _callee.encoded(repeat each arguments)) {
      try $0.result(Result.self, at: 1, name)
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
    let name = _callee.name
    return try await _callee.perform(with: _callee.encoded(repeat each arguments)) { answer in
      var index = 2
      func next<T: Decodable>(_ type: T.Type) throws -> T {
        index += 1
        return try answer.result(type, at: index, name)
      }
      let first = try answer.result(First.self, at: 1, name)
      let second = try answer.result(Second.self, at: 2, name)
      return (first, second, repeat try next((each Result).self))
    }
  }

  /// Calls with arguments, and gives all results, whose types and number need not be known.
  public func call(_ arguments: [RPCValue] = []) async throws -> [RPCValue] {
    try await _callee.perform(with: arguments.map { .encoded(.value($0)) }) { answer in
      (0..<answer.count).map { answer.value(at: $0) }
    }
  }
}

extension MessageElements {
  /// Result `index` of a function, counted from 1.
  fileprivate func result<T: Decodable>(_ type: T.Type, at index: Int, _ name: String) throws -> T {
    do {
      return try decode(type, at: index - 1)
    } catch let error as TangoTypeError {
      throw RPCError.unexpectedResult(path: name, index: index, error: error)
    }
  }
}

/// What is called on which peer, and how long that may take.
public struct RPCCallee: Sendable {
  enum Target: Sendable {
    case path(String)
    case evaluation(String)
    case scriptSource
    case script(Int)
    case method(String, of: RPCReference)
  }

  let peer: RPCPeer
  let target: Target
  var timeout: Duration?? = nil

  /// For errors.
  var name: String {
    switch target {
    case .path(let path): path
    case .evaluation(let path): "eval '\(path)'"
    case .scriptSource: "newexec"
    case .script(let number): "script \(number)"
    case .method(let name, _): name
    }
  }

  /// Writes what comes before the arguments.
  private func writeTarget(_ output: PeerOutput) throws {
    switch target {
    case .path(let path): try output.name(path)
    case .evaluation(let path):
      output.function(.evaluate)
      try output.name(path)
    case .scriptSource: output.function(.build)
    case .script(let number):
      output.function(.run)
      output.integer(number)
    case .method(let name, let object):
      output.function(.invoke)
      try output.reference(object)
      try output.name(name)
    }
  }

  /// - Throws: ``RPCError/unsendable(path:reason:)``.
  func encoded<each Value: Encodable>(_ values: repeat each Value) throws -> [PeerValue] {
    var encoded: [PeerValue] = []
    do {
      for value in repeat each values { encoded.append(try PeerValue(value)) }
    } catch {
      throw RPCError.unsendable(path: name, reason: "argument #\(encoded.count + 1): \(error)")
    }
    return encoded
  }

  /// - Parameter decode: makes the results, the first of which is element 0.
  func perform<Results: Sendable>(
    with arguments: [PeerValue],
    decode: @escaping @Sendable (MessageElements) throws -> Results
  ) async throws -> Results {
    guard let tracer = peer.connection.settings.tracer else {
      return try await exchange(with: arguments, decode: decode)
    }
    return try await tracer.withSpan(name, ofKind: .client) { span in
      let address = peer.address
      span.attributes["server.address"] = address?.ipAddress
      span.attributes["server.port"] = address?.port
      return try await exchange(with: arguments, decode: decode)
    }
  }

  private func exchange<Results: Sendable>(
    with arguments: [PeerValue],
    decode: @escaping @Sendable (MessageElements) throws -> Results
  ) async throws -> Results {
    let connection = peer.connection
    let seconds = timeout ?? connection.settings.callTimeout
    let deadline = seconds.map {
      Int64((NIODeadline.now() + TimeAmount($0)).uptimeNanoseconds)
    }
    let call = TypedCall(name: name, deadline: deadline ?? .max, decode: decode)
    do {
      return try await withTaskCancellationHandler {
        try await withUnsafeThrowingContinuation { continuation in
          call.continuation = continuation
          connection.start(call) { output in
            try writeTarget(output)
            try output.values(arguments)
          }
        }
      } onCancel: {
        connection.cancel(call)
      }
    } catch is DeadlinePassed {
      throw RPCError.timedOut(path: name, seconds: seconds! / .seconds(1))
    }
  }
}
