/// What goes wrong with a call on this side, in any protocol. Each protocol makes an error of its
/// own of it.
package enum CallFailure: Error {
  /// An argument, the first being 1, could not be encoded.
  case unsendable(argument: Int, error: any Error)
  /// A result, the first being 1, has another type than was asked for.
  case unexpectedResult(index: Int, error: RPCTypeError)
  /// The deadline has passed.
  case timedOut
}
