import MilongaScheduler

/// An object that has to know that the other side of a connection has gone, or sends no more, even while
/// nothing is read from the connection.
public protocol HangupObserver: AnyObject {
  /// Comes between turns, once for a descriptor. What was received before may still have to be read.
  func hungUp()
}

/// An observer that is not kept alive by being one.
struct UnownedHangupObserver {
  // Not weak: retaining and releasing an object is slower as soon as a weak reference to it exists.
  unowned(unsafe) let observer: any HangupObserver
}

extension CopasLoop {
  /// Tells the observer of a hang-up of the descriptor, which must be registered. That ends when the
  /// descriptor is forgotten; an observer that goes before calls ``stopObservingHangup(of:by:)``.
  public func observeHangup(of descriptor: Int32, by observer: some HangupObserver) {
    hangupObservers[descriptor] = UnownedHangupObserver(observer: observer)
  }

  public func stopObservingHangup(of descriptor: Int32, by observer: some HangupObserver) {
    guard hangupObservers[descriptor]?.observer === observer else { return }
    hangupObservers[descriptor] = nil
  }

  /// - Parameter tag: that of the registration.
  @inline(never)
  func tellHangup(_ tag: UInt64) {
    let descriptor = Int32(truncatingIfNeeded: tag)
    guard let told = hangupObservers[descriptor],
      scheduler.isWatched(descriptor, generation: UInt32(truncatingIfNeeded: tag >> 32))
    else { return }
    told.observer.hungUp()
  }

  /// What a coroutine that serves a connection is doing.
  public enum Occupation: Sendable {
    /// It runs, or is gone.
    case none
    /// It runs soon.
    case ready
    /// It waits for the connection.
    case connection
    /// It waits for something else.
    case something
  }

  /// - Parameter descriptor: that of the connection.
  public func occupation(of task: TaskID, with descriptor: Int32) -> Occupation {
    switch scheduler.wait(of: task) {
    case .nothing: .none
    case .turn: .ready
    case .descriptor(descriptor, _): .connection
    case .descriptor, .time: .something
    }
  }

  /// Lets the coroutine end as with `copas.removethread`, but in its own turn: where it waits, or where it
  /// waits next.
  public func removeInItsTurn(_ task: TaskID) {
    guard scheduler.exists(task) else { return }
    holdAgain(task)
    if !scheduler.cancel(task) { tasks[Int(task.index)].isRemoved = true }
  }

  /// Whether the coroutine has not ended.
  public func exists(_ task: TaskID) -> Bool { scheduler.exists(task) }
}
