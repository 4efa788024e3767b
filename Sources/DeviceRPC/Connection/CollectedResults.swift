import RPCRuntime

/// Results, before they are written. While results are written the output is locked, and neither
/// the function nor their `encode(to:)` may run.
final class CollectedResults: ResultReceiver {
  private(set) var values: [EncodedValue] = []

  /// - Throws: ``Unsendable``.
  func result<Result: Encodable>(_ result: Result) throws {
    do {
      values.append(try EncodedValue(result, byReference: true))
    } catch {
      throw Unsendable(description: "result #\(values.count + 1): \(error)")
    }
  }
}
