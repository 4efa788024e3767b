import RPC

/// What a call brings along.
package struct CallArguments {
  /// The path or the method's name, for errors.
  let name: String
  let elements: MessageElements
  /// Which element is the first argument.
  let first: Int

  package init(name: String, elements: MessageElements, first: Int) {
    self.name = name
    self.elements = elements
    self.first = first
  }

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

/// The results of a function, for other protocols than tango's.
package typealias ResultsSender = @Sendable (any ResultReceiver) throws -> Void

/// Takes results one by one.
package protocol ResultReceiver: AnyObject {
  func result<Result: Encodable>(_ result: Result) throws
}

/// A Swift function as peers call it.
package struct RemoteFunction: Sendable {
  /// How a function runs, and what it gives.
  package enum Code<Results>: Sendable {
    /// Runs on the event loop.
    case direct(@Sendable (CallArguments) throws -> Results)
    /// Takes its arguments on the event loop; what it returns runs as a task.
    case async(@Sendable (CallArguments) throws -> @Sendable () async throws -> Results)
    /// Returns an object, which stays here.
    case object(@Sendable (CallArguments) throws -> @Sendable () async throws -> any TangoObject)
  }

  /// The same function for tango and for others: made twice, so that neither pays for the other's way to take
  /// results.
  package struct Body: Sendable {
    let text: Code<ResultsWriter>
    package let values: Code<ResultsSender>
  }

  package let path: String
  package let body: Body
}

extension RemoteFunction.Body {
  static func direct<each Argument: Decodable & Sendable, each Result: Encodable & Sendable>(
    _ body: @escaping @Sendable (repeat each Argument) throws -> (repeat each Result)
  ) -> Self {
    Self(
      text: .direct { (call: CallArguments) in
        let arguments: (repeat each Argument) = try call.decode()
        let results: (repeat each Result) = try body(repeat each arguments)
        return { writer in try writeResults(repeat each results, to: &writer) }
      },
      values: .direct { (call: CallArguments) in
        let arguments: (repeat each Argument) = try call.decode()
        let results: (repeat each Result) = try body(repeat each arguments)
        return { receiver in try sendResults(repeat each results, to: receiver) }
      })
  }

  static func async<each Argument: Decodable & Sendable, each Result: Encodable & Sendable>(
    _ body: @escaping @Sendable (repeat each Argument) async throws -> (repeat each Result)
  ) -> Self {
    Self(
      text: .async { (call: CallArguments) in
        let arguments: (repeat each Argument) = try call.decode()
        return {
          let results: (repeat each Result) = try await body(repeat each arguments)
          return { writer in try writeResults(repeat each results, to: &writer) }
        }
      },
      values: .async { (call: CallArguments) in
        let arguments: (repeat each Argument) = try call.decode()
        return {
          let results: (repeat each Result) = try await body(repeat each arguments)
          return { receiver in try sendResults(repeat each results, to: receiver) }
        }
      })
  }

  static func object(
    _ body:
      @escaping @Sendable (CallArguments) throws -> @Sendable () async throws -> any TangoObject
  ) -> Self {
    Self(text: .object(body), values: .object(body))
  }
}

func sendResults<each Result: Encodable>(
  _ results: repeat each Result, to receiver: any ResultReceiver
) throws {
  for result in repeat each results { try receiver.result(result) }
}

/// Writes the values as elements 2, 3, ... of the answer.
func writeResults<each Result: Encodable>(
  _ results: repeat each Result, to writer: inout TangoTextWriter
) throws {
  var index = 2
  for result in repeat each results {
    try writer.element(index, result)
    index += 1
  }
}
