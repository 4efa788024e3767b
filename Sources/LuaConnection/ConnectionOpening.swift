import Copas
import LuaSocket
import MilongaIO
import MilongaLua
import SystemPackage

/// What a connection needs before its first message.
package struct OpeningSettings {
  /// Where a client connects to; nil when the connection is there already.
  package var destination: (host: String, port: Int)?
  /// The connection speaks TLS.
  package var tls: TLSContext?
  /// Seconds that a TLS handshake may take.
  package var handshakeTimeout: Double
  /// The program's function that decides about the other side; nil when it has none.
  package var authorization: Authorization?

  /// Reads the fields `sslparams` and `ssl_timeout`; without a mode there is no TLS.
  ///
  /// - Parameter mode: what the mode of TLS is unless the program says something else: "client" or
  ///   "server".
  package init(_ table: ConfigurationTable, mode: StaticString?) throws(LuaFailure) {
    handshakeTimeout = try table.seconds("ssl_timeout", default: 10)
    if let mode { tls = try TLSContext.make(table, mode: mode) }
  }

  /// A program's function `authorize`, and how to call it.
  package final class Authorization {
    package let function: LuaStored
    /// How many results it has. The first says whether the other side may go on, the second one why
    /// not.
    let results: Int
    /// Pushes the function's arguments, and returns how many they are. The last parameter is the
    /// place of the LuaSocket object.
    let arguments: (StreamConnection, LuaCall, Int) -> Int

    /// Nil when there is no function.
    ///
    /// - Parameters:
    ///   - results: 1 or 2.
    ///   - arguments: pushes the function's arguments, and returns how many they are. Its last
    ///     parameter is the place of the LuaSocket object.
    package init?(
      _ function: consuming LuaStored, results: Int,
      arguments: @escaping (StreamConnection, LuaCall, Int) -> Int
    ) {
      if function.isEmpty { return nil }
      self.function = function
      self.results = results
      self.arguments = arguments
    }
  }
}

/// Opens a connection: a client connects, then comes the TLS handshake, and at last the program
/// says whether it wants the other side. Servers and clients of all protocols open their
/// connections with this value.
///
/// The Swift function that opens a connection calls ``proceed(_:_:socketAt:suspends:state:)`` each
/// time it runs. The value knows where it goes on.
package struct ConnectionOpening {
  /// How far the opening got.
  package enum Progress {
    /// The connection is open.
    case open
    /// The function is to return this, and goes on when it runs again.
    case waits(LuaOutcome)
    /// The same: the program's `authorize` is called.
    case asks(LuaOutcome)
    case failed(Failure)
  }

  /// Why a connection is not opened.
  package enum Failure {
    case connect(SocketFailure)
    /// TLS cannot begin.
    case tls(String)
    case handshakeTimedOut
    case handshake(String)
    /// The coroutine cannot wait for the descriptor.
    case unwatchable(Errno)
    /// The program does not want the other side, perhaps for a reason.
    case refused(String?)
    /// The program's function failed. The error value is on top of the stack.
    case authorizeFailed
  }

  private enum Stage {
    case begin
    case connecting(PendingConnect)
    case connected
    case handshake(until: Int64)
    case secure
    case asking
    case open
  }

  private let settings: OpeningSettings
  private let deadline: Int64
  private var stage = Stage.begin

  /// - Parameter deadline: when connecting and the handshake have to be over.
  package init(_ settings: OpeningSettings, until deadline: Int64 = MonotonicTime.never) {
    self.settings = settings
    self.deadline = deadline
  }

  /// The connection to the other side is not made yet.
  package var isConnecting: Bool {
    switch stage {
    case .begin, .connecting: true
    case .connected, .handshake, .secure, .asking, .open: false
    }
  }

  /// The program is asked about the other side.
  package var isAsking: Bool {
    if case .asking = stage { true } else { false }
  }

  /// Goes on with the opening.
  ///
  /// - Parameters:
  ///   - index: the place of the LuaSocket object on the stack.
  ///   - suspends: the running coroutine waits; otherwise the whole program does.
  ///   - state: what is kept while it waits.
  /// - Throws: `interrupted!`, when Ctrl-C ends a wait of the whole program.
  package mutating func proceed(
    _ call: LuaCall, _ stream: StreamConnection, socketAt index: Int, suspends: Bool, state: Int
  ) throws(LuaFailure) -> Progress {
    if let progress = try connect(call, stream, suspends: suspends, state: state) {
      return progress
    }
    if let progress = try secure(
      call, stream, socketAt: index, suspends: suspends, state: state)
    {
      return progress
    }
    return authorize(call, stream, socketAt: index, state: state)
  }

  // MARK: Connecting

  /// Nil when the connection is there.
  private mutating func connect(
    _ call: LuaCall, _ stream: StreamConnection, suspends: Bool, state: Int
  ) throws(LuaFailure) -> Progress? {
    guard isConnecting else { return nil }
    let socket = stream.socket
    guard let (host, port) = settings.destination else {
      stage = .connected
      return nil
    }
    guard suspends else {
      if let failure = try connectAtOnce(call, stream, host, port) {
        return .failed(.connect(failure))
      }
      connected(socket)
      return nil
    }
    var pending: PendingConnect
    if case .connecting(let begun) = stage {
      pending = begun
    } else {
      pending = stream.loop.startConnect(
        socket, host: host, service: String(port), until: deadline)
    }
    switch stream.loop.proceed(&pending, socket, state: state) {
    case .done:
      connected(socket)
      return nil
    case .failed(let failure): return .failed(.connect(failure))
    case .wait(let outcome):
      stage = .connecting(pending)
      return .waits(outcome)
    }
  }

  /// Connects while the whole program waits. Each address of the name may take the time that is
  /// left.
  private func connectAtOnce(
    _ call: LuaCall, _ stream: StreamConnection, _ host: String, _ port: Int
  ) throws(LuaFailure) -> SocketFailure? {
    let socket = stream.socket
    socket.pointee.timeouts.block =
      deadline == MonotonicTime.never ? -1 : max(0.001, MonotonicTime.seconds(until: deadline))
    let query = ResolverQuery(
      host: host, service: String(port), family: socket.pointee.family)
    return try stream.sockets.connect(call, socket, query)
  }

  private mutating func connected(_ socket: UnsafeMutablePointer<SocketObject>) {
    try? socket.pointee.socket.set(.noDelay, to: 1)
    socket.pointee.timeouts.block = -1
    stage = .connected
  }

  // MARK: TLS

  /// Nil when the connection is secure, or is not to be.
  private mutating func secure(
    _ call: LuaCall, _ stream: StreamConnection, socketAt index: Int, suspends: Bool, state: Int
  ) throws(LuaFailure) -> Progress? {
    if case .connected = stage {
      guard let context = settings.tls else {
        stage = .secure
        return nil
      }
      guard stream.startTLS(call, socket: index, context) else {
        return .failed(.tls(call.stringIfString(at: -1) ?? "unknown error"))
      }
      if let host = settings.destination?.host, SocketAddress(numeric: host, port: 0) == nil {
        stream.setServerName(host)
      }
      let end = MonotonicTime.deadline(
        after: settings.handshakeTimeout, from: MonotonicTime.now())
      stage = .handshake(until: min(deadline, end))
    }
    guard case .handshake(let end) = stage else { return nil }
    let handshake = try stream.handshake(call, until: end, suspends: suspends, state: state)
    switch handshake {
    case .done:
      stage = .secure
      return nil
    case .unfinished(let outcome): return .waits(outcome)
    case .timedOut: return .failed(.handshakeTimedOut)
    case .failed(let reason): return .failed(.handshake(reason))
    case .unwatchable(let error): return .failed(.unwatchable(error))
    }
  }

  // MARK: The program's consent

  private mutating func authorize(
    _ call: LuaCall, _ stream: StreamConnection, socketAt index: Int, state: Int
  ) -> Progress {
    guard let authorization = settings.authorization else {
      stage = .open
      return .open
    }
    guard case .asking = stage else {
      stage = .asking
      authorization.function.push(onto: call)
      let arguments = authorization.arguments(stream, call, index)
      return .asks(
        .protectedCall(arguments: arguments, results: authorization.results, state: state))
    }
    guard call.phase == .returned else { return .failed(.authorizeFailed) }
    guard call.boolean(at: -authorization.results) else {
      return .failed(.refused(authorization.results > 1 ? call.stringIfString(at: -1) : nil))
    }
    stage = .open
    return .open
  }
}
