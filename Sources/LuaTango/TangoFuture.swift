import MilongaLua
import MilongaScheduler

/// The answer to a call that somebody may wait for later.
final class TangoFuture {
  enum State {
    case pending
    /// The message as it came, a string in the registry.
    case answered(Int32)
    case failed(String)
  }

  private(set) var state = State.pending
  /// The call's number.
  var id = 0
  /// When to give up, in nanoseconds of the monotonic clock.
  var deadline = Int64.max
  /// The coroutines that wait for it.
  var waiters: [TaskID] = []
  /// It forgets its futures when it ends.
  let caller: TangoCaller
  private let main: LuaCall
  /// Lua has it: the program may ask for it at any time.
  var isUserdata = false
  /// The request may wait for others to leave with it.
  var mayRest = false
  /// Lua has collected it: nobody will ask.
  private var isCollected = false

  init(_ caller: TangoCaller, main: LuaCall) {
    self.caller = caller
    self.main = main
  }

  var isPending: Bool {
    if case .pending = state { return true }
    return false
  }

  func deliver(_ body: UnsafeRawBufferPointer) {
    guard isPending, !isCollected, main.reserve(2) else { return }
    main.push(body)
    state = .answered(main.retainTop())
  }

  func fail(_ reason: String) {
    if isPending { state = .failed(reason) }
  }

  func release() {
    isCollected = true
    if case .answered(let reference) = state {
      main.release(reference)
      state = .failed("collected")
    }
  }
}

/// A client's connection of any back end, as proxies and futures see it.
class TangoCaller {
  let configuration: ClientConfiguration
  /// The call that ran last has its results on the stack.
  var hasFinished = false
  /// Counts the connections that were made: what belongs to an earlier one means nothing to the server.
  var generation = 0
  /// Ids of remote objects that nobody has any more.
  private var abandonedReferences: [[UInt8]] = []

  init(_ configuration: ClientConfiguration) { self.configuration = configuration }

  /// Performs the call on the stack: this connection, the path, the arguments. Runs again until it
  /// has the results.
  func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome { fatalError("abstract") }

  /// Begins the call on the stack: the future, the path, the arguments. Runs again until the request is on its way;
  /// then the future is the result.
  func begin(
    _ call: LuaCall, _ future: TangoFuture
  ) throws(LuaFailure) -> LuaOutcome { fatalError("abstract") }

  /// Waits for the answer; the future is at 1. The results are those of the call.
  func wait(_ call: LuaCall, _ future: TangoFuture) throws(LuaFailure) -> LuaOutcome {
    fatalError("abstract")
  }

  /// Takes what has come, without waiting.
  func look(_ call: LuaCall) { fatalError("abstract") }

  /// Sends what rests, as far as the system takes it.
  func sendRested(_ call: LuaCall) { fatalError("abstract") }

  func close() { fatalError("abstract") }

  /// Lua has collected the connection.
  func release() { fatalError("abstract") }

  /// There are references to release: with the next call, or earlier.
  func hasAbandonedReferences() {}

  /// The program has a reference to the object of this id, and when it has none any more.
  func hold(_ id: UnsafeRawBufferPointer) {}
  func letGo(_ id: UnsafeRawBufferPointer) {}

  // MARK: References that were collected

  final func abandonReference(_ id: UnsafeRawBufferPointer, generation: Int) {
    guard generation == self.generation, !id.isEmpty else { return }
    letGo(id)
    abandonedReferences.append(Array(id))
    if abandonedReferences.count == 1 { hasAbandonedReferences() }
  }

  /// Those of ``takeAbandonedReferences()`` for which there was no room.
  final func putBack(abandonedReferences ids: some Sequence<[UInt8]>) {
    abandonedReferences.append(contentsOf: ids)
  }

  final func takeAbandonedReferences() -> [[UInt8]] {
    guard !abandonedReferences.isEmpty else { return [] }
    defer { abandonedReferences = [] }
    return abandonedReferences
  }
}
