import CMilongaShims

/// Stops the code that runs in a ``LuaState``, from any thread.
///
/// It may outlive its state, and does nothing then.
public final class LuaInterrupter: Sendable {
  /// Read by the state's hooks. Both of them may have it longer than the other.
  nonisolated(unsafe) let flag: OpaquePointer

  init?() {
    guard let flag = milonga_flag_make() else { return nil }
    self.flag = flag
  }

  deinit { milonga_flag_free(flag) }

  /// Makes the Lua code that runs in the state fail with `interrupted!`, which `pcall` inside of it
  /// does not catch, until the outermost call from Swift returns. While no code runs, that is the
  /// next call.
  ///
  /// A Swift function that was called by the code is not interrupted; what called it is when it
  /// returns.
  public func interrupt() { milonga_flag_raise(flag) }
}

/// What the code of a state may use. The hooks read it.
final class LuaLimits {
  let interrupter: LuaInterrupter
  private let isInterruptible: Bool
  private let storage: UnsafeMutablePointer<milonga_limits>

  init?(isInterruptible: Bool) {
    guard let interrupter = LuaInterrupter() else { return nil }
    self.interrupter = interrupter
    self.isInterruptible = isInterruptible
    storage = .allocate(capacity: 1)
    storage.initialize(to: milonga_limits())
    storage.pointee.flag = interrupter.flag
    storage.pointee.instructions = .max
    storage.pointee.duration = .max
    update()
  }

  deinit { storage.deallocate() }

  /// Whether instructions are counted.
  var areNeeded: Bool { storage.pointee.counts != 0 }

  func limitInstructions(_ count: Int?) {
    storage.pointee.instructions = Int64(count ?? .max)
    update()
  }

  func limitTime(_ seconds: Double?) {
    // As much as a century is no limit.
    let isLimit = seconds.map { $0 < 3e9 } ?? false
    storage.pointee.duration = isLimit ? Int64(max(seconds!, 0) * 1e9) : .max
    update()
  }

  private func update() {
    let isLimited = storage.pointee.instructions != .max || storage.pointee.duration != .max
    storage.pointee.counts = isInterruptible || isLimited ? 1 : 0
  }

  /// A run of code, and whose limits counted before.
  struct Run {
    fileprivate let limits: UnsafeMutablePointer<milonga_limits>?
    fileprivate let outer: UnsafeMutablePointer<milonga_limits>?
  }

  /// Code that this thread runs until ``leave(_:)`` is within these limits, and within no others.
  func enter(_ state: OpaquePointer) -> Run {
    let limits = areNeeded ? storage : nil
    return Run(limits: limits, outer: milonga_enter(state, limits))
  }

  func leave(_ run: Run) { milonga_leave(run.limits, run.outer) }

  /// The error of the code that runs when these limits have ended it.
  var stop: LuaError? {
    guard areNeeded else { return nil }
    let stop = milonga_stop(UInt32(storage.pointee.stopped))
    guard stop != MILONGA_GOES_ON else { return nil }
    return LuaError(
      stop == MILONGA_INTERRUPTED ? .interrupted : .limit,
      String(cString: milonga_stop_message(stop)))
  }
}
