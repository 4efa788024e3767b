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

/// Takes results one by one.
package protocol ResultReceiver: AnyObject {
  /// - Throws: when the result cannot be sent.
  func result<Result: Encodable>(_ result: Result) throws
}

/// Hands over the results of a function.
package typealias ResultsSender = @Sendable (any ResultReceiver) throws -> Void

/// A Swift function as peers call it.
package struct RemoteFunction: Sendable {
  package enum Body: Sendable {
    /// Runs on the event loop, and hands its results over at once.
    case direct(@Sendable (CallArguments, any ResultReceiver) throws -> Void)
    /// Takes its arguments on the event loop; what it returns runs as a task.
    case async(@Sendable (CallArguments) throws -> @Sendable () async throws -> ResultsSender)
    /// Returns an object, which stays here.
    case object(@Sendable (CallArguments) throws -> @Sendable () async throws -> any TangoObject)
  }

  package let path: String
  package let body: Body
}

extension RemoteFunction.Body {
  static func direct<each Argument: Decodable & Sendable, each Result: Encodable & Sendable>(
    _ body: @escaping @Sendable (repeat each Argument) throws -> (repeat each Result)
  ) -> Self {
    .direct { (call: CallArguments, receiver: any ResultReceiver) in
      let arguments: (repeat each Argument) = try call.decode()
      let results: (repeat each Result) = try body(repeat each arguments)
      try send(repeat each results, to: receiver)
    }
  }

  static func async<each Argument: Decodable & Sendable, each Result: Encodable & Sendable>(
    _ body: @escaping @Sendable (repeat each Argument) async throws -> (repeat each Result)
  ) -> Self {
    .async { (call: CallArguments) in
      let arguments: (repeat each Argument) = try call.decode()
      return {
        let results: (repeat each Result) = try await body(repeat each arguments)
        return { receiver in try send(repeat each results, to: receiver) }
      }
    }
  }
}

private func send<each Result: Encodable>(
  _ results: repeat each Result, to receiver: any ResultReceiver
) throws {
  for result in repeat each results { try receiver.result(result) }
}

/// A result that the protocol has no form for.
struct UnsendableResult: Error, CustomStringConvertible {
  let index: Int
  let error: EncodingError

  var description: String {
    guard case .invalidValue(_, let context) = error else { return "result #\(index): \(error)" }
    return "result #\(index): \(context.debugDescription)"
  }
}
