import MilongaRPC

/// The arguments of a call that a program makes, encoded. Only this package looks into them.
public struct RPCArguments: Sendable {
  private let encoded: [EncodedValue]
  private let failure: CallFailure?

  /// - Parameter byReference: whether objects go by reference.
  package init<each Argument: Encodable>(
    _ arguments: repeat each Argument, byReference: Bool
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
  }

  init(_ values: [RPCValue]) {
    encoded = values.map { .value($0) }
    failure = nil
  }

  /// - Throws: ``CallFailure/unsendable(argument:error:)``.
  package var values: [EncodedValue] {
    get throws {
      if let failure { throw failure }
      return encoded
    }
  }
}
