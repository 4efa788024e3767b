import MilongaRPC
import NIOCore
import RPCRuntime

// Calls whose functions run side by side. The wire has no numbers for calls: their answers leave in
// the order of the calls.
extension TangoServerHandler {
  /// Carries out a call while functions of earlier ones run. A function that does not wait runs at
  /// once, and only its answer waits.
  ///
  /// - Returns: false when the call itself has to wait.
  func carryOutBehindOthers(_ body: UnsafeRawBufferPointer) -> Bool {
    let written = writer.buffer.count
    let last = running.last
    carryOut(body)
    if state.awaitsAll { return false }
    if running.last == last { state.order.append(holdBack(from: written)) }
    return true
  }

  /// The function of a call has ended: `write` writes its answer.
  func answer(_ place: Int, _ write: () -> Void) {
    guard state.wantsAnswers else { return state.end(call: place, []) { _ in } }
    let written = writer.buffer.count
    write()
    let answer = state.order.isOldest(place) ? [] : holdBack(from: written)
    state.end(call: place, answer) { answer in
      scratch.spare.lend(to: &writer.buffer)
      answer.withUnsafeBytes { writer.buffer.append($0) }
    }
    if writer.buffer.lacksMemory { refuse("not enough memory for its answers") }
  }

  /// Answers behind all calls that are under way.
  func answerLast(_ write: () -> Void) {
    let written = writer.buffer.count
    write()
    if state.isBusy { state.order.append(holdBack(from: written)) }
  }

  /// Takes back the answer that was written last: it has to wait.
  private func holdBack(from written: Int) -> [UInt8] {
    guard state.wantsAnswers else {
      writer.buffer.truncate(to: written)
      return []
    }
    let count = writer.buffer.count - written
    guard SystemMemory.has(count) else {
      refuse("not enough memory for its answers")
      writer.buffer.truncate(to: written)
      return []
    }
    isHolding = true
    defer { writer.buffer.truncate(to: written) }
    return writer.buffer.withUnsafeBytes { Array($0.suffix(count)) }
  }
}
