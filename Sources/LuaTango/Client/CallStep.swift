import MilongaLua

/// What a remote call does next when its function runs again.
enum CallStep: Int {
  /// It sends and receives until it has its answer.
  case exchange = 1
  /// The program's `serialize` has made its request.
  case serialize
  /// The program's `unserialize` has read its answer.
  case unserialize
  /// Its request waits for room.
  case room
  /// It opens the connection.
  case open
  /// It opens the connection again, after a pause.
  case pause
  /// Another call has opened the connection.
  case join
  /// No call, but what sends in the background.
  case send
}

extension LuaCall {
  /// Nil when the function has just been called.
  @inline(__always)
  var callStep: CallStep? { phase == .entered ? nil : CallStep(rawValue: step) }
}

/// A call whose coroutine waits for its answer. It lies on the coroutine's stack meanwhile, behind
/// the connection.
struct WaitingCall {
  let id: Int
  /// When to give up, in nanoseconds of the monotonic clock.
  let deadline: Int64

  /// The place on the stack where the answer will begin.
  static let answer = 4

  @inline(__always)
  init(id: Int, deadline: Int64) {
    self.id = id
    self.deadline = deadline
  }

  /// Takes it from the stack, where the debug library may have changed it.
  @inline(__always)
  init(on call: LuaCall) throws(LuaFailure) {
    id = try call.integer(at: 2)
    deadline = Int64(try call.integer(at: 3))
  }

  /// Pushes it behind the connection, which is all that is on the stack.
  @inline(__always)
  func push(onto call: LuaCall) {
    call.push(id)
    call.push(Int(deadline))
  }
}

/// How far a call got.
enum CallProgress {
  /// The topmost values are its results.
  case results(Int)
  /// The function is to return this, and goes on when it runs again.
  case unfinished(LuaOutcome)

  @inline(__always)
  var outcome: LuaOutcome {
    switch self {
    case .results(let count): .results(count)
    case .unfinished(let outcome): outcome
    }
  }
}
