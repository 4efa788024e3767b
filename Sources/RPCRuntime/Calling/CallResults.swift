import MilongaRPC

/// The results of a call, as they came. Valid only until the connection reads its next message.
public struct CallResults {
  package let elements: MessageElements
  /// Which element is the first result.
  let first: Int

  package init(_ elements: MessageElements, first: Int) {
    self.elements = elements
    self.first = first
  }

  package var count: Int { max(0, elements.count - first) }

  /// A result as a tree, the first being 1; nil behind the last, and for an object by reference.
  package func value(at index: Int) -> RPCValue { elements.value(at: first + index - 1) }

  /// A result as the type asked for, the first being 1.
  ///
  /// - Throws: ``CallFailure/unexpectedResult(index:error:)``.
  package func decode<T: Decodable>(_ type: T.Type, at index: Int) throws -> T {
    do {
      return try elements.decode(type, at: first + index - 1)
    } catch let error as RPCTypeError {
      throw CallFailure.unexpectedResult(index: index, error: error)
    }
  }
}
