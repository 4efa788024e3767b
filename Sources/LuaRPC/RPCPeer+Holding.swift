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
    // While a message is read, its bytes are not in the socket's buffer.
    guard !reception.isReading else { return }
    let bytes = isOpen ? stream.socket.pointee.buffer.memory + output.count : 0
    let serving = suspended.largeBytes
    isHolding = bytes + serving > 0
    if holder == nil { holder = BufferHolder(self) }
    configuration.keeper.set(holder!, bytes: bytes, serving: serving)
  }

  /// The rest of a large message is to be received. An outcome when that has to wait for room.
  func waitForRoom() -> LuaOutcome? {
    let keeper = configuration.keeper
    guard keeper.isOver, let holder, !loop.hasHungUp(stream.socket), keeper.mustWait(holder)
    else { return nil }
    guard !stream.isSecure else {
      roles.sleepReading(.withoutRoom)
      return loop.sleep(until: MonotonicTime.never, state: Step.wait.state)
    }
    // The other side's end wakes it too, and so may what comes next; it looks again then.
    do throws(Errno) {
      return try loop.waitForNotice(stream.socket, state: Step.wait.state)
    } catch {
      disconnect("its socket cannot be watched: \(error)")
      return nil
    }
  }

  func mayReadAgain() {
    if roles.reading == .withoutRoom, let reader = roles.reader {
      roles.sleepReading(.receiving)
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
