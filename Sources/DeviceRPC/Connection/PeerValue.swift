import MilongaRPC
import Tango

/// An argument or a result on its way out: see `EncodedValue`.
enum PeerValue: Sendable {
  case encoded(EncodedValue)
  /// An object of this side.
  case object(any RPCObject)
  /// An object of the other side.
  case reference(RPCReference)

  /// - Throws: what the value's `encode(to:)` throws.
  init<T: Encodable>(_ value: T) throws {
    if let scalar = EncodedValue(scalar: value) {
      self = .encoded(scalar)
    } else if let object = value as? any SentByReference {
      self = object.peerValue
    } else {
      self = .encoded(.value(try TangoEncoder.encode(value)))
    }
  }
}

/// What is sent as a reference, if it stands by itself.
protocol SentByReference {
  var peerValue: PeerValue { get }
}

/// Results, before they are written: the output is locked then, and neither the function nor its results' `encode(to:)`
/// may run.
final class CollectedResults: ResultReceiver {
  private(set) var values: [PeerValue] = []

  /// - Throws: ``Unsendable``.
  func result<Result: Encodable>(_ result: Result) throws {
    do {
      values.append(try PeerValue(result))
    } catch {
      throw Unsendable(description: "result #\(values.count + 1): \(error)")
    }
  }
}
