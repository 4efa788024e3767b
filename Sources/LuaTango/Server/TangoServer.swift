import CMilongaLua
import CMilongaShims
import Copas
import LuaConnection
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC

/// `tango.server.copas_socket`: a server on the Copas dispatcher, with a coroutine per client.
struct TangoServer {
  let sockets: SocketLibrary
  let loop: CopasLoop
  private let codecs: TangoCodecs
  private let spare = SpareBuffer()
  private let sessions: LuaClass<SessionHolder>

  init(_ call: LuaCall, loop: CopasLoop, codecs: TangoCodecs) {
    sockets = loop.sockets
    self.loop = loop
    self.codecs = codecs
    sessions = LuaClass(
      call, name: "tango session",
      finalize: { $0.release() })
  }

  /// Pushes the back end's table.
  func pushModule(_ call: LuaCall) {
    call.pushTable(fields: 2)
    call.setFunction("new") { (call) throws(LuaFailure) in
      try pushNew(call)
      return .results(2)
    }
    call.setFunction("loop") { (call) throws(LuaFailure) in
      try pushNew(call)
      // Server and handler, on top now, are what addserver wants as its arguments.
      call.insert(at: 1)
      call.insert(at: 1)
      call.count = 2
      try loop.addServer(call)
      call.count = 0
      return try loop.runLoop(call)
    }
  }

  /// `new(config)`: pushes a listening socket and the handler for its connections, as
  /// `copas.addserver` takes them.
  private func pushNew(_ call: LuaCall) throws(LuaFailure) {
    let configuration = try ServerConfiguration(call, at: 1, codecs: codecs, loop: loop)
    try configuration.pushListener(call, sockets)
    call.push(function: { (call) throws(LuaFailure) in
      if call.phase == .entered { try begin(call, configuration) }
      // The debug library reaches this coroutine's stack, and a script may have resumed the
      // coroutine.
      guard loop.isInside(call), let holder = sessions.payload(call, at: ServedRequest.session)
      else {
        throw call.failure("tango: the session is gone")
      }
      return holder.pointee.run(call)
    })
  }

  /// A connection came: its socket is at 1.
  private func begin(
    _ call: LuaCall, _ configuration: ServerConfiguration
  ) throws(LuaFailure) {
    guard loop.isInside(call) else {
      throw call.failure("tango: the handler must be called by Copas; give it to copas.addserver")
    }
    call.count = 1
    if call.type(at: 1) == .table {
      call.pushField("socket", of: 1)
      call.replace(at: 1)
    }
    let socket = try sockets.check(sockets.tcp.client, call)
    try? socket.pointee.socket.set(.noDelay, to: 1)
    let connection = TangoConnection(
      socket, sockets: sockets, loop: loop, spare: spare, limits: configuration.limits,
      keeper: configuration.keeper, log: configuration.log)
    call.pushValue(at: 1)
    let reference = call.retainTop()
    let holder = SessionHolder(
      TangoSession(configuration, connection, socketReference: reference), socket: reference,
      main: loop.main)
    sessions.push(holder, onto: call)
    call.pushRetained(configuration.namespace)
  }
}

/// A session inside a userdata on its coroutine's stack.
private struct SessionHolder {
  private let session: Unmanaged<TangoSession>
  /// Keeps the socket in the registry: the session points to its payload, and the debug library can
  /// change the stack.
  private let socket: Int32
  private let main: LuaCall

  init(_ session: TangoSession, socket: Int32, main: LuaCall) {
    self.session = .passRetained(session)
    self.socket = socket
    self.main = main
  }

  /// Runs the session without retaining it. If the collector takes the userdata meanwhile, the
  /// session goes afterwards.
  @inline(__always)
  func run(_ call: LuaCall) -> LuaOutcome {
    let session = session
    return session._withUnsafeGuaranteedRef {
      $0.isRunning = true
      let outcome = $0.run(call)
      $0.isRunning = false
      if $0.isReleased { session.release() }
      return outcome
    }
  }

  func release() {
    let session = session
    session._withUnsafeGuaranteedRef {
      $0.detach()
      $0.isReleased = true
      if !$0.isRunning { session.release() }
    }
    main.release(socket)
  }
}

extension ServerConfiguration {
  /// Pushes a listening socket.
  func pushListener(_ call: LuaCall, _ sockets: SocketLibrary) throws(LuaFailure) {
    let host = interface == "*" ? "0.0.0.0" : interface
    let failure = try sockets.pushServer(call, host: host, service: String(port), backlog: 1024)
    if let failure {
      throw call.failure("tango server: cannot listen on \(interface):\(port): \(failure.text)")
    }
  }
}
