import Copas
import LuaConnection
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler
import SystemPackage

// The memory that a server's connection holds for its client. The keeper is told when the
// connection begins to wait while it holds something. So what is served at once is never counted.
extension TangoConnection: BufferHolding {
  /// Nothing is received that was not served.
  @inline(__always)
  var isDrained: Bool { !isOpen && !keepsReceived || socket.pointee.buffer.isEmpty }

  /// Says what is held now. The connection may be closed afterwards.
  func tellHolding() {
    guard let keeper else { return }
    let bytes =
      isOpen || keepsReceived ? socket.pointee.buffer.memory + output.count + held : 0
    isHolding = bytes + serving > 0
    if holder == nil { holder = BufferHolder(self) }
    keeper.set(holder!, bytes: bytes, serving: serving)
  }

  /// A large call, of this many bytes, is being carried out.
  func beginServing(_ bytes: Int) {
    serving += bytes
    isHolding = true
  }

  /// The rest of a large message is to be received. An outcome when that has to wait for room.
  func waitForRoom() throws(Errno) -> LuaOutcome? {
    guard let keeper, keeper.isOver, let holder, isOpen, !loop.hasHungUp(socket),
      keeper.mustWait(holder)
    else { return nil }
    guard !stream.isSecure else {
      pausedTask = loop.currentTask
      return loop.sleep(until: MonotonicTime.never)
    }
    // The client's end wakes it too, and so may what comes next; it looks again then.
    return try loop.waitForNotice(socket)
  }

  /// Its coroutine waits for room, and not for a function.
  var waitsForRoom: Bool { pausedTask != nil }

  func mayReadAgain() {
    if let task = pausedTask {
      pausedTask = nil
      loop.wake(task)
    } else if isOpen {
      loop.notify(stream.descriptor)
    }
  }

  func endForMemory(_ reason: String) {
    guard !isEndDue else { return }
    log?.disconnected(peer, reason)
    if session?.postpone(.connectionEnd) == true { return }
    end()
  }

  /// Closes the connection, and tells who serves it.
  func end() {
    let task = pausedTask
    pausedTask = nil
    close()
    session?.connectionEnded()
    if let task { loop.wake(task) }
  }

  func forgetHolder() {
    guard let keeper, let holder else { return }
    serving = 0
    keeper.remove(holder)
    self.holder = nil
  }
}
