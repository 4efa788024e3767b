import Copas
import LuaCodec
import LuaConnection
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC

// Messages on their way out. They are collected: those that coroutines leave behind in one round of
// the dispatcher leave in one write.
extension RPCPeer: RoundEndObserver, TurnEndObserver {
  /// Collects a message whose payload `write` makes; nothing is left of it when that fails.
  @inline(__always)
  func collect(
    _ kind: LuaRPCFraming.Kind, sequence: () -> UInt8,
    payload write: (inout LuatobinWriter) throws(GraphFailure) -> Void
  ) throws(GraphFailure) {
    stream.spare.lend(to: &output)
    try library.withWriter { (writer: inout LuatobinWriter) throws(GraphFailure) in
      swap(&writer.buffer, &output)
      defer { giveBack(&writer) }
      let message = LuaRPCFraming.open(in: &writer.buffer)
      do throws(GraphFailure) {
        try write(&writer)
        if writer.buffer.lacksMemory {
          throw GraphFailure(place: "", reason: LuatobinRefusal.memory.description)
        }
        try checkSize(LuaRPCFraming.payloadBytes(of: message, in: writer.buffer))
        LuaRPCFraming.close(message, kind, sequence: sequence(), in: &writer.buffer)
      } catch {
        LuaRPCFraming.drop(message, from: &writer.buffer)
        throw error
      }
    }
  }

  @inline(__always)
  private func checkSize(_ bytes: Int) throws(GraphFailure) {
    guard bytes <= configuration.limits.frameBytes else {
      throw GraphFailure(
        place: "",
        reason: "the message would be longer than the limit of "
          + "\(configuration.limits.frameBytes) bytes (max_frame_bytes)")
    }
  }

  /// The buffer is the connection's again. A finalizer may have sent something meanwhile.
  @inline(__always)
  private func giveBack(_ writer: inout LuatobinWriter) {
    swap(&writer.buffer, &output)
    if !writer.buffer.isEmpty {
      writer.buffer.withUnsafeBytes { output.append($0) }
      if output.lacksMemory { disconnect("not enough memory for what it has to get") }
    }
    if writer.buffer.capacity > 0 { writer.buffer.release() }
  }

  /// Sends what was collected when all who are ready have had their turns, at the latest.
  func flushSoon() {
    if output.count > mostCollected {
      flush()
    } else if !isFlushDue {
      isFlushDue = true
      loop.observeRoundEnd(by: self)
    }
  }

  func roundEnded() {
    isFlushDue = false
    flush()
  }

  /// Sends what can be sent at once.
  func flushOutput() -> StreamConnection.Progress {
    if stream.isSecure { return stream.flushSecurely { swap(&$0, &output) } }
    return stream.flush(&output)
  }

  /// Sends what can be sent now; a worker waits to send the rest.
  func flush() {
    guard isOpen, !output.isEmpty else { return }
    hasSent = true
    switch flushOutput() {
    case .done: break
    case .failed: close()
    case .wait:
      if output.count > configuration.mostUnsent {
        disconnect("it does not read: \(output.count) bytes wait for it (max_unsent_bytes)")
      } else {
        tellHolding()
        if isOpen { wantWriter() }
      }
    }
  }
}

/// Bytes that are sent at once.
private let mostCollected = 64 * 1024
