import RPC

/// What a call brings along.
struct CallArguments {
  /// The path or the method's name, for errors.
  let name: String
  let elements: MessageElements
  /// Which element is the first argument.
  let first: Int

  private var count: Int { max(0, elements.count - first) }

  /// The arguments as the types of a function's parameters. Trailing ones that are optional may be left out.
  ///
  /// - Throws: ``TangoArgumentError``.
  func decode<each Argument: Decodable>() throws -> (repeat each Argument) {
    let count = count
    var index = 0
    func next<T: Decodable>(_ type: T.Type) throws -> T {
      index += 1
      if index > count, !(type is any OptionalType.Type) {
        throw TangoArgumentError(name, expected: signature(repeat (each Argument).self), got: count)
      }
      do {
        return try elements.decode(type, at: first + index - 1)
      } catch let error as TangoTypeError {
        throw TangoArgumentError(name, index: index, error)
      }
    }
    let arguments: (repeat each Argument) = (repeat try next((each Argument).self))
    guard count <= index else {
      throw TangoArgumentError(name, expected: signature(repeat (each Argument).self), got: count)
    }
    return arguments
  }

  private func signature<each Argument>(_ types: repeat (each Argument).Type) -> String {
    var names: [String] = []
    for type in repeat each types { names.append("\(type)") }
    let count = names.count
    return "\(count) argument\(count == 1 ? "" : "s")"
      + (names.isEmpty ? "" : " (\(names.joined(separator: ", ")))")
  }
}

/// What `nil` can stand for.
private protocol OptionalType {}
extension Optional: OptionalType {}

/// A call whose arguments do not suit the function.
public struct TangoArgumentError: Error, Sendable, Hashable, CustomStringConvertible {
  public let description: String

  init(_ name: String, expected: String, got count: Int) {
    description = "\(name): expected \(expected), got \(count)"
  }

  init(_ name: String, index: Int, _ error: TangoTypeError) {
    description = "\(name): argument #\(index): \(error)"
  }
}

/// The results of a function, to be written behind the status.
typealias ResultsWriter = @Sendable (inout TangoTextWriter) throws -> Void

/// A Swift function as peers call it.
struct RemoteFunction: Sendable {
  enum Body: Sendable {
    /// Runs on the event loop, and writes its results behind the status.
    case direct(@Sendable (CallArguments, inout TangoTextWriter) throws -> Void)
    /// Takes its arguments on the event loop; what it returns runs as a task.
    case async(@Sendable (CallArguments) throws -> @Sendable () async throws -> ResultsWriter)
    /// Returns an object, for `tango.ref`.
    case object(@Sendable (CallArguments) throws -> @Sendable () async throws -> any TangoObject)
  }

  let path: String
  let body: Body
}

extension RemoteFunction.Body {
  static func direct<each Argument: Decodable & Sendable, each Result: Encodable & Sendable>(
    _ body: @escaping @Sendable (repeat each Argument) throws -> (repeat each Result)
  ) -> Self {
    .direct { (call: CallArguments, writer: inout TangoTextWriter) in
      let arguments: (repeat each Argument) = try call.decode()
      let results: (repeat each Result) = try body(repeat each arguments)
      try writeResults(repeat each results, to: &writer)
    }
  }

  static func async<each Argument: Decodable & Sendable, each Result: Encodable & Sendable>(
    _ body: @escaping @Sendable (repeat each Argument) async throws -> (repeat each Result)
  ) -> Self {
    .async { (call: CallArguments) in
      let arguments: (repeat each Argument) = try call.decode()
      return {
        let results: (repeat each Result) = try await body(repeat each arguments)
        return { writer in try writeResults(repeat each results, to: &writer) }
      }
    }
  }
}

/// Writes the values as elements 2, 3, ... of the answer.
func writeResults<each Result: Encodable>(
  _ results: repeat each Result, to writer: inout TangoTextWriter
) throws {
  var index = 2
  for result in repeat each results {
    do {
      try writer.element(index, result)
    } catch let error as EncodingError {
      throw UnsendableResult(index: index - 1, error: error)
    }
    index += 1
  }
}

/// A result that the protocol has no form for.
private struct UnsendableResult: Error, CustomStringConvertible {
  let index: Int
  let error: EncodingError

  var description: String {
    guard case .invalidValue(_, let context) = error else { return "result #\(index): \(error)" }
    return "result #\(index): \(context.debugDescription)"
  }
}
