package import MilongaRPC

/// A value on its way out. What the program does in `encode(to:)` has been done: it may take long,
/// call, or release objects that call, and so it must not run while a connection is locked.
package enum EncodedValue: Sendable {
  /// The most frequent one needs no copy.
  case string(String)
  case value(Value)
  /// An object of this side, which stays here.
  case object(any RPCObject)
  /// What stands for an object of the other side: of a type that the protocol knows.
  case reference(any AnyObject & Sendable)

  /// - Parameter byReference: whether the protocol can send objects by reference.
  /// - Throws: what the value's `encode(to:)` throws.
  package init<T: Encodable>(_ value: T, byReference: Bool) throws {
    if let scalar = EncodedValue(scalar: value) {
      self = scalar
    } else if byReference, let object = value as? any SentByReference {
      self = object.encodedReference
    } else {
      self = .value(try ValueEncoder.encode(value))
    }
  }

  /// The common scalars need no encoder; nil for all else.
  package init?<T>(scalar value: T) {
    if T.self == String.self {
      self = .string(same(value))
    } else if T.self == Int.self {
      self = .value(.integer(Int64(same(value) as Int)))
    } else if T.self == Double.self {
      self = .value(.number(same(value)))
    } else if T.self == Bool.self {
      self = .value(.boolean(same(value)))
    } else {
      return nil
    }
  }
}

/// What is sent as a reference, if it is an argument or a result by itself.
package protocol SentByReference {
  var encodedReference: EncodedValue { get }
}

/// A type, besides the object's own, that an object by reference can be received as.
package protocol ReceivedByReference {
  /// nil when the object is not of the kind.
  init?(object: any AnyObject & Sendable)
}

extension Optional: ReceivedByReference where Wrapped: ReceivedByReference {
  package init?(object: any AnyObject & Sendable) {
    guard let wrapped = Wrapped(object: object) else { return nil }
    self = .some(wrapped)
  }
}

/// The value as a type that was found to be its own; a cast would look once more, at length.
@inlinable
@inline(__always)
func same<T, U>(_ value: T) -> U {
  assert(T.self == U.self)
  return unsafeBitCast(value, to: U.self)
}
