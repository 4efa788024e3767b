import DequeModule

/// Calls of the other side for which there is no place yet.
struct WaitingCalls {
  struct Call {
    let sequence: UInt8
    let payload: [UInt8]
  }

  private var calls: Deque<Call> = []
  /// Bytes of their messages.
  private(set) var bytes = 0

  var count: Int { calls.count }
  var isEmpty: Bool { calls.isEmpty }

  mutating func append(_ sequence: UInt8, _ payload: UnsafeRawBufferPointer) {
    calls.append(Call(sequence: sequence, payload: Array(payload)))
    bytes += payload.count
  }

  mutating func takeFirst() -> Call? {
    guard let call = calls.popFirst() else { return nil }
    bytes -= call.payload.count
    return call
  }
}
