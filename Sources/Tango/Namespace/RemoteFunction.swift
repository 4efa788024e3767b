import MilongaRPC

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
    try check(repeat (each Argument).self)
    var place = first
    return (repeat try next((each Argument).self, &place))
  }

  /// Whether the call has as many arguments as there are parameters.
  fileprivate func check<each Argument>(_ types: repeat (each Argument).Type) throws {
    let count = count
    var parameters = 0
    for type in repeat each types {
      parameters += 1
      if parameters > count, !(type is any OptionalType.Type) {
        throw TangoArgumentError(name, expected: signature(repeat each types), got: count)
      }
    }
    guard count <= parameters else {
      throw TangoArgumentError(name, expected: signature(repeat each types), got: count)
    }
  }

  /// The argument at `place`, which is moved on.
  fileprivate func next<T: Decodable>(_ type: T.Type, _ place: inout Int) throws -> T {
    defer { place += 1 }
    do {
      return try elements.decode(type, at: place)
    } catch let error as TangoTypeError {
      throw TangoArgumentError(name, index: place - first + 1, error)
    }
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
package final class RemoteFunction: Sendable {
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

  init(path: String, body: Body) {
    self.path = path
    self.body = body
  }
}

extension RemoteFunction.Body {
  static func direct<each Argument: Decodable & Sendable, each Result: Encodable & Sendable>(
    _ body: @escaping @Sendable (repeat each Argument) throws -> (repeat each Result)
  ) -> Self {
    .direct { (call: CallArguments, receiver: any ResultReceiver) in
      // Straight from place to place: a tuple of arguments would mean one more copy of each.
      try call.check(repeat (each Argument).self)
      var place = call.first
      let results: (repeat each Result) =
        try body(repeat try call.next((each Argument).self, &place))
      _ = (repeat try receiver.result(each results))
    }
  }

  static func async<each Argument: Decodable & Sendable, each Result: Encodable & Sendable>(
    _ body: @escaping @Sendable (repeat each Argument) async throws -> (repeat each Result)
  ) -> Self {
    .async { (call: CallArguments) in
      let arguments: (repeat each Argument) = try call.decode()
      return {
        let results: (repeat each Result) = try await body(repeat each arguments)
        return { receiver in _ = (repeat try receiver.result(each results)) }
      }
    }
  }
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
