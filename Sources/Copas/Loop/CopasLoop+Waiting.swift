import CMilongaLua
import CMilongaShims
import CMilongaTurns
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

extension CopasLoop {
  /// Whether the running code is a coroutine of this dispatcher, which may wait.
  @inlinable
  @inline(__always)
  public func isInside(_ call: LuaCall) -> Bool { call.state == turn.coroutine }

  /// Why the coroutine runs again after it waited.
  @inline(__always)
  public var hasTimedOut: Bool { turn.reason == .timeout }

  /// Lets the running coroutine wait for its socket; the function is to return the outcome, and
  /// runs again when the socket is ready, is closed, or `deadline` has passed (see
  /// ``hasTimedOut``).
  public func wait(
    _ socket: UnsafeMutablePointer<SocketObject>, for direction: Direction, until deadline: Int64,
    state: Int = 0
  ) throws(Errno) -> LuaOutcome {
    if !socket.pointee.isWatched {
      try watch(socket)
      // It was found not ready just before; if that has changed, registering reports it.
      scheduler.markUnready(socket.pointee.descriptor, direction)
    }
    return park(on: socket.pointee.descriptor, direction, until: deadline, state: state)
  }

  /// Lets the running coroutine wait for a descriptor of another module, which was found not ready
  /// just before; the function is to return the outcome, and runs again when the descriptor is
  /// ready.
  ///
  /// - Parameter isWatched: kept by the caller for the descriptor, false at first. Once it is true,
  ///   the caller has to ``forget(_:)`` the descriptor before it closes it.
  public func wait(
    on descriptor: Int32, isWatched: inout Bool, for direction: Direction,
    until deadline: Int64 = MonotonicTime.never, state: Int = 0
  ) throws(Errno) -> LuaOutcome {
    if !isWatched {
      try register(descriptor)
      isWatched = true
    }
    scheduler.markUnready(descriptor, direction)
    return park(on: descriptor, direction, until: deadline, state: state)
  }

  /// Lets the running coroutine wait for a socket that is not to be read at the moment: until
  /// ``notify(_:)`` is called, or the other side hangs up. What comes is not asked for, because
  /// poll(2) tells again and again of what is not read.
  package func waitForNotice(
    _ socket: UnsafeMutablePointer<SocketObject>, state: Int = 0
  ) throws(Errno) -> LuaOutcome {
    if !socket.pointee.isWatched { try watch(socket) }
    let descriptor = socket.pointee.descriptor
    scheduler.markUnready(descriptor, .read)
    if mayWait {
      scheduler.park(current!, on: descriptor, .read, deadline: MonotonicTime.never)
    }
    return .yield(0, state: state)
  }

  /// The tasks that wait to read from the descriptor go on: something has come that the system does
  /// not report.
  public func notify(_ descriptor: Int32) { scheduler.notify(descriptor) }

  /// Lets the running coroutine wait for a descriptor that is registered.
  @inline(__always)
  func park(
    on descriptor: Int32, _ direction: Direction, until deadline: Int64, state: Int
  ) -> LuaOutcome {
    if mayWait {
      readiness.arm(descriptor, for: direction.readiness)
      scheduler.park(current!, on: descriptor, direction, deadline: deadline)
    }
    return .yield(0, state: state)
  }

  /// False under a C function that cannot be suspended, such as `table.sort`: yielding there is an
  /// error, which Lua raises, and the coroutine goes on.
  public var mayWait: Bool { turn.coroutine.map { lua_isyieldable($0) != 0 } ?? false }

  /// Whether it is worth asking the system: false only while it is known that a read or a write
  /// would block.
  @inlinable
  @inline(__always)
  public func isReady(
    _ socket: UnsafeMutablePointer<SocketObject>, _ direction: Direction
  ) -> Bool {
    scheduler.isReady(socket.pointee.descriptor, direction)
  }

  /// Whether the peer has hung up, as far as is known: what it sent can be read to its end.
  public func hasHungUp(_ socket: UnsafeMutablePointer<SocketObject>) -> Bool {
    hasHungUp(socket.pointee.descriptor)
  }

  /// The same for a descriptor that is registered.
  public func hasHungUp(_ descriptor: Int32) -> Bool { scheduler.hasHungUp(descriptor) }

  /// A read got less than it asked for, so that the next one would block; unless the peer has hung
  /// up.
  ///
  /// - Returns: whether to read on.
  @inlinable
  @inline(__always)
  public func drained(_ socket: UnsafeMutablePointer<SocketObject>) -> Bool {
    socket.pointee.isWatched ? scheduler.drained(socket.pointee.descriptor) : true
  }

  /// The system had less room than was asked for.
  @inlinable
  @inline(__always)
  public func markUnready(
    _ socket: UnsafeMutablePointer<SocketObject>, _ direction: Direction
  ) {
    scheduler.markUnready(socket.pointee.descriptor, direction)
  }

  /// Counts an operation of the running coroutine.
  ///
  /// - Returns: nil while the coroutine may go on. When it has had its share, of operations or of
  ///   time, the outcome to return: the function runs again after the others.
  @inlinable
  @inline(__always)
  public func turnOver(state: Int = 0) -> LuaOutcome? {
    scheduler.mayOperate() && !hasRunLong ? nil : giveUpTurn(state)
  }

  /// Whether the turn has lasted as long as it should.
  @inlinable
  @inline(__always)
  public var hasRunLong: Bool { milonga_turn_is_over(turn.end) != 0 }

  /// After ``turnOver(state:)`` has ended the turn: whether what the turn leaves behind is to be
  /// sent now. Its next turn is not near, because others come first, or this turn was long.
  public var leavesOthersWaiting: Bool { scheduler.readyCount > 1 || hasRunLong || !isLooping }

  /// A turn of another coroutine begins within the running one.
  func beginTurn() {
    scheduler.beginTurn()
    noteTurn()
  }

  /// A turn begins.
  @inline(__always)
  func noteTurn() {
    turn.end = milonga_turn_end()
    if milonga_termination_signal() != 0 { termination.limitTurn() }
  }

  /// Ends the turn, if that is possible here.
  @usableFromInline
  func giveUpTurn(_ state: Int = 0) -> LuaOutcome? {
    guard mayWait else { return nil }
    scheduler.yield(current!)
    return .yield(0, state: state)
  }

  /// Whether the running coroutine was removed: its next wait is its end.
  public var isRemoved: Bool { current.map { tasks[$0].isRemoved } ?? false }

  /// The coroutine whose turn it is; nil outside the dispatcher.
  public var currentTask: TaskID? { current }

  /// Ends the sleep of a coroutine; whether it was asleep.
  @discardableResult
  public func wake(_ task: TaskID) -> Bool { scheduler.wake(task) }

  /// Lets the running coroutine sleep until `deadline` or until it is woken.
  public func sleep(until deadline: Int64, state: Int = 0) -> LuaOutcome {
    if mayWait { scheduler.sleep(current!, until: deadline) }
    return .yield(0, state: state)
  }

  @inline(__always)
  func requireInside(_ call: LuaCall, _ function: StaticString) throws(LuaFailure) {
    if !isInside(call) { throw outside(call, function) }
  }

  /// For a function that runs again: an error when a script has resumed the coroutine, which waited
  /// here.
  @inline(__always)
  public func requireOwnResumption(
    _ call: LuaCall, _ function: StaticString
  ) throws(LuaFailure) {
    if call.phase == .resumed { try requireInside(call, function) }
  }

  private func outside(_ call: LuaCall, _ function: StaticString) -> LuaFailure {
    call.failure(
      current == nil
        ? "copas.\(function): not inside a Copas thread; call it from a function given to "
          + "copas.addthread, or from a server's handler"
        : "copas.\(function): called in a coroutine that Copas does not run; call it from the "
          + "Copas thread itself, or make the coroutine with copas.addthread")
  }
}
