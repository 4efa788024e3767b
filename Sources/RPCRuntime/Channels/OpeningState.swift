/// How far the opening of a connection is: the handshake of TLS, then the program's permission. It
/// knows neither channels nor clocks.
struct OpeningState {
  private enum Phase {
    case new
    case handshake
    /// The program was asked for its permission.
    case asking
    /// The connection is open, was refused, or has ended.
    case over
  }

  /// What there is to do.
  enum Action: Equatable {
    case nothing
    /// Ask the program.
    case ask
    /// The connection is open.
    case open
    case refuse(String)
  }

  private let hasTLS: Bool
  private let asksProgram: Bool
  private var phase = Phase.new

  /// - Parameter asksProgram: whether the program has to permit the connection.
  init(hasTLS: Bool, asksProgram: Bool) {
    self.hasTLS = hasTLS
    self.asksProgram = asksProgram
  }

  /// Whether the opening has to wait for something, and needs a time limit for that.
  var waits: Bool { hasTLS || asksProgram }

  var isAsking: Bool { phase == .asking }

  /// The channel has become active.
  mutating func connected() -> Action {
    guard phase == .new else { return .nothing }
    phase = .handshake
    return hasTLS ? .nothing : proceed()
  }

  mutating func handshakeCompleted() -> Action { phase == .handshake ? proceed() : .nothing }

  private mutating func proceed() -> Action {
    phase = asksProgram ? .asking : .over
    return asksProgram ? .ask : .open
  }

  /// The program has answered.
  ///
  /// - Parameter refusal: nil when it permits the connection.
  mutating func answered(_ refusal: String?) -> Action {
    guard phase == .asking else { return .nothing }
    phase = .over
    return refusal.map { .refuse($0) } ?? .open
  }

  mutating func timedOut(_ timeout: Duration) -> Action {
    guard phase != .over else { return .nothing }
    phase = .over
    return .refuse("no handshake within \(timeout)")
  }

  /// The connection has ended for another reason.
  mutating func cancel() { phase = .over }
}
