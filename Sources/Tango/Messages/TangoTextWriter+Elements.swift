import MilongaRPC
import RPCRuntime

extension TangoTextWriter {
  /// Writes what the program gives as element `index` of the message: the same as encoding it
  /// first, for a writer that no other thread uses meanwhile.
  mutating func element<T: Encodable>(_ index: Int, encoding value: T) throws {
    guard T.self == String.self else {
      return element(index, try EncodedValue(value, byReference: false))
    }
    beginElement(index)
    var text = unsafeBitCast(value, to: String.self)
    text.withUTF8 { string(UnsafeRawBufferPointer($0)) }
  }

  /// Writes the value as element `index` of the message.
  mutating func element(_ index: Int, _ value: EncodedValue) {
    beginElement(index)
    switch value {
    case .string(var text): text.withUTF8 { string(UnsafeRawBufferPointer($0)) }
    case .value(let value): value.write(to: &self)
    case .object, .reference: preconditionFailure("tango does not send objects by reference")
    }
  }
}
