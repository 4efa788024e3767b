import CMilongaShims

extension LuaCall {
  /// To be called when a signal has interrupted a system call that waits (`EINTR`).
  ///
  /// - Throws: `interrupted!` when the signal was Ctrl-C: the running code is to end.
  public func checkInterruption() throws(LuaFailure) {
    if takeInterruption() { throw failure("interrupted!") }
  }

  /// Whether the running code is to end, as ``checkInterruption()`` would say. The error is the
  /// caller's to raise.
  public func takeInterruption() -> Bool { milonga_take_interruption(state) != 0 }
}
