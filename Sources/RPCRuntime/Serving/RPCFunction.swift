import MilongaRPC

/// Takes results one by one.
@usableFromInline
package protocol ResultReceiver: AnyObject {
  /// - Throws: when the result cannot be sent.
  func result<Result: Encodable>(_ result: Result) throws
}

/// Hands over the results of a function.
@usableFromInline
package typealias ResultsSender = @Sendable (any ResultReceiver) throws -> Void

/// A Swift function as peers call it.
@usableFromInline
package final class RPCFunction: Sendable {
  @usableFromInline
  package enum Body: Sendable {
    /// Runs on the event loop, and hands its results over at once.
    case direct(@Sendable (CallArguments, any ResultReceiver) throws -> Void)
    /// Takes its arguments on the event loop; what it returns runs as a task.
    case async(@Sendable (CallArguments) throws -> @Sendable () async throws -> ResultsSender)
    /// Returns an object, which stays here.
    case object(@Sendable (CallArguments) throws -> @Sendable () async throws -> any RPCObject)
  }

  package let path: String
  package let body: Body

  init(path: String, body: Body) {
    self.path = path
    self.body = body
  }
}

extension RPCFunction.Body {
  @inlinable
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

  @inlinable
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
