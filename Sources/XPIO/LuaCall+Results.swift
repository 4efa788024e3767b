import Glibc
import MilongaIO
import MilongaLua
import SystemPackage

/// How XPIO's functions tell what came of a system call.
extension LuaCall {
  /// `nil, "retry"`.
  func pushRetry() -> LuaOutcome {
    pushNil()
    push("retry")
    return .results(2)
  }

  /// `nil` and the system's words for the error; `"retry"` for those that pass.
  func pushFailure(_ error: Errno) -> LuaOutcome {
    switch error {
    case .resourceTemporarilyUnavailable, .nowInProgress, .alreadyInProcess, .interrupted:
      return pushRetry()
    default:
      pushNil()
      push(String(cString: strerror(error.rawValue)))
      return .results(2)
    }
  }

  func pushFailure(_ text: String) -> LuaOutcome {
    pushNil()
    push(text)
    return .results(2)
  }

  func pushTrue() -> LuaOutcome {
    push(true)
    return .results(1)
  }

  /// `true`, or what the system call failed with.
  func pushTrue(after systemCall: () throws(Errno) -> Void) -> LuaOutcome {
    do throws(Errno) {
      try systemCall()
      return pushTrue()
    } catch {
      return pushFailure(error)
    }
  }

  /// An argument that counts something: a number that is not negative. Its fraction does not count.
  func size(at index: Int) throws(LuaFailure) -> Int {
    let number = try number(at: index)
    guard number >= 0 else {
      let shown = number.isNaN ? "nan" : "\(number)"
      throw argumentFailure(index, "a number of 0 or more expected, got \(shown)")
    }
    return Int(exactly: number.rounded(.down)) ?? .max
  }
}

/// What came of a system call that moves bytes, or would.
enum Attempt {
  case moved(Int)
  /// It would block, and the descriptor is not ready.
  case unready
  /// It was interrupted, or is under way: trying again is all there is to do.
  case again
  case failed(Errno)

  @inline(__always)
  init(_ systemCall: () -> Int) {
    let count = systemCall()
    if count >= 0 {
      self = .moved(count)
      return
    }
    switch errno {
    case EAGAIN: self = .unready
    case EINTR, EINPROGRESS, EALREADY: self = .again
    case let code: self = .failed(Errno(rawValue: code))
    }
  }
}
