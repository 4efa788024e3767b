/// A result that the protocol has no form for.
struct UnsendableResult: Error, CustomStringConvertible {
  let index: Int
  let error: EncodingError

  var description: String {
    guard case .invalidValue(_, let context) = error else { return "result #\(index): \(error)" }
    return "result #\(index): \(context.debugDescription)"
  }
}
