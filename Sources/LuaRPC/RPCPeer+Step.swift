import MilongaLua

extension RPCPeer {
  /// Why one of the functions runs again: what it waited for, or called. The trampoline keeps it as
  /// a number.
  enum Step: Equatable {
    /// A function that the other side has called; its call lies above `base` on the stack.
    case served(base: Int)
    /// Bytes, room for them, or an answer.
    case wait
    /// A sequence number for a call.
    case number
    /// The connection.
    case connect
    /// The handshake, or the program's `authorize`.
    case open

    /// The number that stands for it.
    var state: Int {
      switch self {
      case .wait: 0
      case .number: 1
      case .connect: 2
      case .open: 3
      case .served(let base): Self.firstBase + base
      }
    }

    init(state: Int) {
      switch state {
      case Self.wait.state: self = .wait
      case Self.number.state: self = .number
      case Self.connect.state: self = .connect
      case Self.open.state: self = .open
      default: self = .served(base: state - Self.firstBase)
      }
    }

    /// That of the function that runs again.
    init(_ call: LuaCall) { self.init(state: call.step) }

    private static let firstBase = 16
  }
}
