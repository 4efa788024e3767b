import MilongaRPC

/// A call as a program has made it: encoded arguments, and what makes the results of the answer.
/// What is called is not part of it.
public struct RPCCall<Results: Sendable>: Sendable {
  private let encoded: [EncodedValue]
  private let failure: CallFailure?
  package let decode: @Sendable (CallResults) throws -> Results

  /// - Parameter byReference: whether objects go by reference.
  package init<each Argument: Encodable>(
    _ arguments: repeat each Argument, byReference: Bool,
    decode: @escaping @Sendable (CallResults) throws -> Results
  ) {
    var encoded: [EncodedValue] = []
    var failure: CallFailure?
    do {
      for argument in repeat each arguments {
        encoded.append(try EncodedValue(argument, byReference: byReference))
      }
    } catch {
      failure = .unsendable(argument: encoded.count + 1, error: error)
    }
    self.encoded = encoded
    self.failure = failure
    self.decode = decode
  }

  package init(
    arguments: [EncodedValue], decode: @escaping @Sendable (CallResults) throws -> Results
  ) {
    encoded = arguments
    failure = nil
    self.decode = decode
  }

  /// - Throws: ``CallFailure/unsendable(argument:error:)``.
  package var arguments: [EncodedValue] {
    get throws {
      if let failure { throw failure }
      return encoded
    }
  }
}
