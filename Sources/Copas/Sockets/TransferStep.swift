import LuaSocket
import MilongaLua

/// Where a method of a socket goes on when its function runs again. The trampoline keeps one
/// integer for it.
///
/// The same function serves our own sockets and those of other libraries, and may leave its work to
/// `copas/tls.lua`; the step says which of the three it was.
enum TransferStep: Equatable {
  /// The arguments on the stack say what to do.
  case arguments
  /// A socket of our own receives by this pattern. The arguments need not be looked at again.
  case receiving(SocketObject.Pattern)
  /// The method of another object does the work; see `CopasLoop+ForeignTransfer.swift`.
  case foreign(Foreign)
  /// A function of `copas/tls.lua` does the work.
  case tls

  /// How often the method of another object was called.
  enum Foreign: Int {
    case notYet, once, again
    /// The time is over: the method was called all the same.
    case forTheLastTime
  }

  private static let line = -1
  private static let all = -2
  private static let firstForeign = -1001
  private static let inTLS = -2001

  /// The step that was packed; 0 is a function's beginning.
  @inline(__always)
  init(packed: Int) {
    switch packed {
    case 1...: self = .receiving(.count(packed))
    case 0: self = .arguments
    case Self.line: self = .receiving(.line)
    case Self.all: self = .receiving(.all)
    case Self.inTLS: self = .tls
    default: self = Foreign(rawValue: Self.firstForeign - packed).map { .foreign($0) } ?? .arguments
    }
  }

  /// The step as 32 bits. A pattern that does not fit is looked up in the arguments again.
  @inline(__always)
  var packed: Int {
    switch self {
    case .arguments: 0
    case .receiving(.line): Self.line
    case .receiving(.all): Self.all
    case .receiving(.count(let count)): Int(Int32(exactly: count) ?? 0)
    case .foreign(let step): Self.firstForeign - step.rawValue
    case .tls: Self.inTLS
    }
  }

  @inline(__always)
  var isForeign: Bool { if case .foreign = self { true } else { false } }
}

extension LuaCall {
  @inline(__always)
  var transferStep: TransferStep { TransferStep(packed: step) }
}

/// What a transfer that waits keeps on the coroutine's stack, behind its arguments.
enum TransferSlot {
  static let receiveDeadline = 4
  static let sendDeadline = 5
  /// How many bytes were sent.
  static let sendOffset = 6
  /// The socket of another library, up to three arguments, and the deadline.
  static let socket = 1
  static let lastArgument = 4
  static let foreignDeadline = 5
}
