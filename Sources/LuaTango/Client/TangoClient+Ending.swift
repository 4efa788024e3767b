import Copas
import MilongaIO
import MilongaLua
import MilongaScheduler

// Calls that are given up, and connections that end.
extension TangoClient: ThreadObserver {
  func closed(_ call: LuaCall) -> LuaFailure { call.failure("\(peer): closed") }

  /// This call is given up; the connection can still be used.
  func timeOut(_ call: LuaCall, _ id: Int) -> LuaFailure {
    abandon(call, id, "timeout")
    return call.failure("\(peer): timeout")
  }

  func abandon(_ call: LuaCall, _ id: Int, _ reason: String) {
    if let abandoned = calls.table.abandon(id) { giveUp(abandoned, reason) }
    if loop.isInside(call) { passOnReading() }
  }

  private func giveUp(_ call: PendingCall, _ reason: String) {
    if case .future(let future) = call.waiter { future.fail(reason) }
    transport.forget(call.id)
  }

  /// Gives up the futures that the program has not asked for in time. They must not take the place
  /// of others for ever.
  func giveUpOverdue() {
    for call in calls.table.abandonOverdue(MonotonicTime.now()) { giveUp(call, "timeout") }
  }

  /// A coroutine was removed while it waited.
  func ended(_ task: TaskID) {
    let (abandoned, next) = calls.removed(task)
    for id in abandoned { transport.forget(id) }
    if let next { loop.wake(next) }
    transport.removed(task)
  }

  // MARK: The connection

  /// The connection cannot be used any more: all calls fail.
  func fail(_ call: LuaCall, _ reason: String) -> LuaFailure {
    end(reason)
    return call.failure("\(peer): \(reason)")
  }

  func end(_ reason: String) {
    references.connectionEnded()
    let (unanswered, waitingForRoom) = calls.ended()
    for call in unanswered { tellEnd(of: call, reason) }
    for task in waitingForRoom { loop.wake(task) }
    // Its connection is gone, and the next one may have its own.
    sender = nil
    if isReading { endsAfterReading = true } else { transport.end() }
  }

  func tellEnd(of call: PendingCall, _ reason: String) {
    switch call.waiter {
    case .program: break
    case .coroutine(let task): loop.wake(task)
    case .future(let future):
      future.fail(reason)
      for waiter in future.waiters { loop.wake(waiter) }
    }
  }

  func close() {
    if !Wire.serverNoticesEnd, isOpen {
      transport.prepareToClose()
      for id in references.takeAll() { release(id, loop.main) }
    }
    end("closed")
    transport.close()
  }

  func release() {
    guard stopObserving() else { return }
    close()
    transport.release()
  }
}
