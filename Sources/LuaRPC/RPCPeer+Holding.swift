import Copas
import LuaConnection
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler
import SystemPackage

// What the connection holds for the other side. It is told when the connection begins to wait while
// it holds something; so what is served at once is never counted.
extension RPCPeer: BufferHolding {
  /// Says what is held now. The connection may be closed afterwards.
  func tellHolding() {
    // The bytes of a message that is being read belong to somebody else meanwhile.
    guard !isReading else { return }
    let bytes = isOpen ? stream.socket.pointee.buffer.memory + output.count : 0
    let serving = largeCalls.values.reduce(0, +)
    isHolding = bytes + serving > 0
    if holder == nil { holder = BufferHolder(self) }
    configuration.keeper.set(holder!, bytes: bytes, serving: serving)
  }

  /// A large call waits for something; what follows tells of it.
  func beginServing(_ worker: TaskID, _ bytes: Int) {
    largeCalls[worker] = bytes
    isHolding = true
  }

  /// The call that the worker has served, if it was a large one, is over.
  func endServing(_ worker: TaskID) {
    guard !largeCalls.isEmpty, largeCalls.removeValue(forKey: worker) != nil else { return }
    tellHolding()
  }

  /// The rest of a large message is to be received. An outcome when that has to wait for room.
  func waitForRoom() -> LuaOutcome? {
    let keeper = configuration.keeper
    guard keeper.isOver, let holder, !loop.hasHungUp(stream.socket), keeper.mustWait(holder)
    else { return nil }
    guard !stream.isSecure else {
      isReaderWithoutRoom = true
      return loop.sleep(until: MonotonicTime.never, state: Step.wait.rawValue)
    }
    // What comes next, or the other side's end, wakes it too; it looks again then.
    loop.markUnready(stream.socket, .read)
    do throws(Errno) {
      return try stream.wait(
        for: .read, until: MonotonicTime.never, state: Step.wait.rawValue)
    } catch {
      disconnect("its socket cannot be watched: \(error)")
      return nil
    }
  }

  func mayReadAgain() {
    if isReaderWithoutRoom, let reader {
      isReaderWithoutRoom = false
      loop.wake(reader)
    } else if isOpen {
      loop.notify(stream.descriptor)
    }
  }

  func endForMemory(_ reason: String) { disconnect(reason) }

  func forgetHolder() {
    guard let holder else { return }
    configuration.keeper.remove(holder)
    self.holder = nil
  }
}
