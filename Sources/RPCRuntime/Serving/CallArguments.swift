/// The arguments of a call that is served.
@usableFromInline
package struct CallArguments {
  /// The path or the method's name, for errors.
  @usableFromInline let name: String
  @usableFromInline let elements: MessageElements
  /// Which element is the first argument.
  @usableFromInline let first: Int

  package init(name: String, elements: MessageElements, first: Int) {
    self.name = name
    self.elements = elements
    self.first = first
  }

  @inlinable var count: Int { max(0, elements.count - first) }

  /// The arguments as the types of a function's parameters. Trailing ones that are optional may be
  /// left out.
  ///
  /// - Throws: ``RPCArgumentError``.
  @inlinable
  func decode<each Argument: Decodable>() throws -> (repeat each Argument) {
    try check(repeat (each Argument).self)
    var place = first
    return (repeat try next((each Argument).self, &place))
  }

  /// Whether the call has as many arguments as there are parameters.
  @inlinable
  func check<each Argument>(_ types: repeat (each Argument).Type) throws {
    let count = count
    var parameters = 0
    for type in repeat each types {
      parameters += 1
      if parameters > count, !(type is any OptionalType.Type) {
        throw RPCArgumentError(name, expected: signature(repeat each types), got: count)
      }
    }
    guard count <= parameters else {
      throw RPCArgumentError(name, expected: signature(repeat each types), got: count)
    }
  }

  /// The argument at `place`, which is moved on.
  @inlinable
  func next<T: Decodable>(_ type: T.Type, _ place: inout Int) throws -> T {
    defer { place += 1 }
    do {
      return try elements.decode(type, at: place)
    } catch let error as RPCTypeError {
      throw RPCArgumentError(name, index: place - first + 1, error)
    }
  }

  @usableFromInline
  func signature<each Argument>(_ types: repeat (each Argument).Type) -> String {
    var names: [String] = []
    for type in repeat each types { names.append("\(type)") }
    let count = names.count
    return "\(count) argument\(count == 1 ? "" : "s")"
      + (names.isEmpty ? "" : " (\(names.joined(separator: ", ")))")
  }
}

/// A type that has nil among its values.
@usableFromInline protocol OptionalType {}
extension Optional: OptionalType {}
