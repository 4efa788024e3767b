import Copas
import LuaConnection
import SystemPackage

// The end of the connection while functions wait. A worker reads beside functions that are called,
// so that the end is noticed; only while `authorize` is asked nothing is read.
extension RPCPeer: HangupObserver {
  /// The other side has left: what becomes of its functions.
  func leaveFunctions() {
    let waiting = suspended.leave()
    guard configuration.onDisconnect == .cancel else { return }
    for task in waiting where task != loop.currentTask {
      loop.removeInItsTurn(task)
      suspended.forget(task)
    }
    if let opener, opener != loop.currentTask { loop.removeInItsTurn(opener) }
  }

  /// The program is asked about the other side, which may leave meanwhile.
  func observeHangup() {
    // What cannot be watched fails with the first wait.
    do throws(Errno) { try stream.watch() } catch { return }
    observedDescriptor = stream.descriptor
    loop.observeHangup(of: observedDescriptor, by: self)
  }

  func stopObservingHangup() {
    guard observedDescriptor >= 0 else { return }
    loop.stopObservingHangup(of: observedDescriptor, by: self)
    observedDescriptor = -1
  }

  func hungUp() {
    if opening?.isAsking == true { close() }
  }
}
