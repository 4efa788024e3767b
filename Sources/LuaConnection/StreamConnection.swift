import Copas
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler
import SystemPackage

/// The bytes of one TCP connection, with or without TLS: what the connections of several protocols
/// have in common. Messages are taken out of the socket's receive buffer where they lie; those to
/// be sent are collected in a buffer.
public final class StreamConnection {
  package let sockets: SocketLibrary
  public let loop: CopasLoop
  /// The socket's payload, inside the userdata that the owner keeps on its stack or in the
  /// registry. With TLS LuaSec has the descriptor, and only the buffer is used.
  public let socket: UnsafeMutablePointer<SocketObject>
  public let spare: SpareBuffer
  /// Of a server: what ends the largest connection when there is no memory.
  public let keeper: BufferKeeper?
  private let pool: BufferPool
  @usableFromInline private(set) var tls: TLSLayer?
  /// Something is being sent with TLS.
  private var isFlushing = false

  /// How far an operation got.
  public enum Progress {
    case done
    /// It goes on when the descriptor is ready.
    case wait(Direction)
    case failed(String)
  }

  package init(
    _ socket: UnsafeMutablePointer<SocketObject>, sockets: SocketLibrary, loop: CopasLoop,
    spare: SpareBuffer, keeper: BufferKeeper? = nil
  ) {
    self.keeper = keeper
    self.sockets = sockets
    self.loop = loop
    self.socket = socket
    self.spare = spare
    pool = sockets.pool
  }

  @inlinable
  public var isOpen: Bool { socket.pointee.descriptor >= 0 || tls != nil && isOpenSecurely }

  @usableFromInline var isOpenSecurely: Bool { tls?.isOpen == true }

  public var descriptor: Int32 { tls?.descriptor ?? socket.pointee.descriptor }

  /// The other side's address; nil when the connection has ended.
  package var remoteAddress: SocketAddress? { try? Socket(descriptor: descriptor).peerAddress() }

  /// Pushes what `authorize` is told about the other side: a table with its `address` and `port`,
  /// and with TLS its `certificate`.
  public func pushPeer(onto call: LuaCall) {
    let remote = remoteAddress
    call.pushTable(fields: 3)
    call.push(remote?.numericHost ?? "unknown peer")
    call.setField("address", of: -2)
    call.push(Int(remote?.port ?? 0))
    call.setField("port", of: -2)
    if let tls {
      tls.pushPeerCertificate(onto: call)
      call.setField("certificate", of: -2)
    }
  }

  // MARK: TLS

  public var isSecure: Bool { tls != nil }

  /// From here on the connection speaks TLS; a handshake has to follow.
  ///
  /// - Parameter index: the place of the socket on the stack.
  /// - Returns: whether that went well; if not, the reason is on top of the stack.
  package func startTLS(
    _ call: LuaCall, socket index: Int, _ context: TLSContext
  ) -> Bool {
    let descriptor = socket.pointee.descriptor
    if socket.pointee.isWatched {
      loop.forget(descriptor)
      socket.pointee.isWatched = false
    }
    guard context.pushConnection(call, socket: index) else { return false }
    tls = TLSLayer(call, descriptor: descriptor, main: loop.main)
    return true
  }

  /// Says to the other side for which host the connection is.
  public func setServerName(_ name: String) { tls?.setServerName(name) }

  /// How far the handshake got.
  public enum Handshake {
    case done
    /// The function is to return this, and goes on when it runs again.
    case unfinished(LuaOutcome)
    case timedOut
    case failed(String)
    /// The coroutine cannot wait for the descriptor.
    case unwatchable(Errno)
  }

  /// Goes on with the handshake, which has to be over at `deadline`.
  ///
  /// - Parameters:
  ///   - suspends: the running coroutine waits; otherwise the whole program does.
  ///   - state: what is kept while it waits.
  public func handshake(
    _ call: LuaCall, until deadline: Int64, suspends: Bool, state: Int = 0
  ) throws(LuaFailure) -> Handshake {
    while let tls {
      switch tls.handshake() {
      case .done: return .done
      case .failed(let reason): return .failed(reason)
      case .wait(let direction):
        if MonotonicTime.now() >= deadline { return .timedOut }
        if suspends {
          do throws(Errno) {
            return .unfinished(try wait(for: direction, until: deadline, state: state))
          } catch {
            return .unwatchable(error)
          }
        }
        let failure = try SocketTimeouts.wait(
          tls.descriptor, for: direction.readiness, until: deadline, call)
        if let failure, failure != .timeout { return .failed(failure.text) }
      }
    }
    return .done
  }

  /// Pushes the connection of LuaSec, or nil.
  public func pushSecureConnection(onto call: LuaCall) {
    if let tls { tls.pushConnection(onto: call) } else { call.pushNil() }
  }

  // MARK: Transfer

  /// What was received and not consumed yet.
  public var received: UnsafeRawBufferPointer { socket.pointee.buffer.bytes }

  /// Removes a message from the receive buffer.
  public func consume(_ bytes: Int) {
    socket.pointee.buffer.consume(bytes)
    socket.pointee.buffer.releaseIfEmpty(to: pool)
  }

  /// Whether the dispatcher believes that there is something to read.
  public var mayRead: Bool { tls != nil || loop.isReady(socket, .read) }

  /// Reads what is there.
  ///
  /// - Parameter needed: bytes that the message at the start of the buffer lacks.
  public func receive(needed: Int, mayRead: Bool) -> Progress {
    let wanted = socket.pointee.buffer.count + needed
    if let tls { return receive(wanted, through: tls) }
    let progress = socket.pointee.receive(
      .count(wanted), pool: pool, mayRead: mayRead,
      wasShort: { [loop, socket] in loop.drained(socket) })
    switch progress {
    case .done: return .done
    case .wait: return .wait(.read)
    case .failed(.memory) where keeper?.makeRoom() == true:
      return receive(needed: wanted - socket.pointee.buffer.count, mayRead: mayRead)
    case .failed(let failure): return .failed(failure.text)
    }
  }

  @inline(never)
  private func receive(_ wanted: Int, through tls: TLSLayer) -> Progress {
    while socket.pointee.buffer.count < wanted {
      let progress = tls.receive(into: &socket.pointee.buffer, pool: pool)
      guard case .done = progress else { return progress }
    }
    return .done
  }

  /// Acknowledges at once what was read. The other side may hold the rest of a message back until
  /// then.
  public func acknowledgeAtOnce() {
    if tls == nil { socket.pointee.socket.acknowledgeAtOnce() }
  }

  /// Sends what was collected, as far as the system takes it. Not with TLS: see
  /// ``flushSecurely(_:)``.
  public func flush(_ buffer: inout OutputBuffer) -> Progress {
    guard !buffer.isEmpty else { return .done }
    var sent = 0
    let progress = buffer.withUnsafeBytes { socket.pointee.send($0, from: &sent) }
    buffer.removeFirst(sent)
    if buffer.isEmpty { spare.giveBack(&buffer) }
    switch progress {
    case .done: return .done
    case .wait: return .wait(.write)
    case .failed(let failure): return .failed(failure.text)
    }
  }

  /// The same with TLS. Lua code runs meanwhile, and a finalizer may collect more, so the owner
  /// gives its buffer away for that time. What is collected meanwhile is sent behind it.
  ///
  /// - Parameter exchange: swaps the owner's buffer with the one that it is given.
  @inline(never)
  public func flushSecurely(_ exchange: (inout OutputBuffer) -> Void) -> Progress {
    // That of a finalizer: the one that runs already sends for it.
    guard let tls, !isFlushing else { return .done }
    isFlushing = true
    defer { isFlushing = false }
    while true {
      var buffer = OutputBuffer()
      exchange(&buffer)
      let progress = tls.send(&buffer)
      var added = OutputBuffer()
      exchange(&added)
      added.withUnsafeBytes { buffer.append($0) }
      let lacksMemory = buffer.lacksMemory
      if buffer.isEmpty { spare.giveBack(&buffer) }
      exchange(&buffer)
      if lacksMemory { return .failed("not enough memory") }
      guard case .done = progress, !added.isEmpty else { return progress }
    }
  }

  /// Lets the running coroutine wait until the connection is ready. Call it when an operation has
  /// just said `.wait`.
  public func wait(
    for direction: Direction, until deadline: Int64, state: Int = 0
  ) throws(Errno) -> LuaOutcome {
    if let tls {
      return try loop.wait(
        on: tls.descriptor, isWatched: &tls.isWatched, for: direction, until: deadline,
        state: state)
    }
    if direction == .write { loop.markUnready(socket, .write) }
    return try loop.wait(socket, for: direction, until: deadline, state: state)
  }

  /// Closes the connection, and forgets what it received.
  public func close() {
    if let tls, tls.isOpen {
      if tls.isWatched { loop.forget(tls.descriptor) }
      tls.close()
    }
    sockets.close(&socket.pointee)
  }
}
