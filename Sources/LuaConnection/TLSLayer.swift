import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaRPC
import MilongaScheduler

/// TLS on one connection, by LuaSec. Its functions are told not to wait. The caller waits for what
/// they want, inside or outside the dispatcher, and calls again.
@usableFromInline
final class TLSLayer {
  typealias Progress = StreamConnection.Progress

  let descriptor: Int32
  /// See `CopasLoop.wait(on:)`.
  var isWatched = false
  /// The connection of LuaSec; empty once it is closed.
  private var connection: LuaStored
  private let main: LuaCall
  /// Why an operation has failed. OpenSSL does not go on then, and LuaSec, called again, may loop
  /// for ever.
  private var failed: String?
  /// Bytes asked for in one call.
  private static let chunk = 16 * 1024

  /// Takes the connection of LuaSec that is on top of the stack.
  ///
  /// - Parameter main: the main thread's stack, for what happens outside the turns of coroutines.
  init(_ call: LuaCall, descriptor: Int32, main: LuaCall) {
    self.descriptor = descriptor
    self.main = main
    call.push("settimeout")
    if milonga_gettable(call.state, -2) == LUA_OK {
      call.pushValue(at: -2)
      call.push(0)
      if milonga_pcall(call.state, 2, 0, 0) != LUA_OK { call.pop() }
    } else {
      call.pop()
    }
    connection = LuaStored(popping: call)
    // LuaSec's `close` ends TLS with a write that blocks, whether the peer reads or not.
    Socket(descriptor: descriptor).limitBlockingSends()
  }

  var isOpen: Bool { !connection.isEmpty }

  /// Pushes the connection of LuaSec, or nil.
  func pushConnection(onto call: LuaCall) { connection.push(onto: call) }

  /// Calls a method and leaves its results, or the reason for its failure, on the main stack.
  ///
  /// - Parameter arguments: pushes so many arguments.
  private func invoke(
    _ method: StaticString, results: Int32, arguments: (LuaCall) -> Int32 = { _ in 0 }
  ) -> Bool {
    guard isOpen, main.reserve(12) else {
      main.push("closed")
      return false
    }
    connection.push(onto: main)
    main.push(method)
    let isFound = milonga_gettable(main.state, -2) == LUA_OK
    main.insert(at: -2)
    guard isFound else {
      main.pop()
      return false
    }
    return milonga_pcall(main.state, 1 + arguments(main), results, 0) == LUA_OK
  }

  /// The outcome of a call whose error is on the main stack.
  private func failure(_ index: Int, _ direction: Direction) -> Progress {
    let text = main.stringIfString(at: index) ?? "unknown error"
    switch text {
    case "wantread": return .wait(.read)
    case "wantwrite": return .wait(.write)
    case "timeout": return .wait(direction)
    // A peer that died did not end the TLS connection. The frames show whether something is
    // missing.
    case "unexpected eof while reading", "Connection reset by peer", "Broken pipe":
      failed = "closed"
      return .failed("closed")
    case "closed": return .failed(text)
    default:
      failed = text
      return .failed(text)
    }
  }

  /// Says for which host the connection is.
  func setServerName(_ name: String) {
    let top = main.count
    defer { main.count = top }
    _ = invoke("sni", results: 0) { main in
      main.push(name)
      return 1
    }
  }

  func handshake() -> Progress {
    if let failed { return .failed(failed) }
    let top = main.count
    defer { main.count = top }
    guard invoke("dohandshake", results: 2) else { return failure(-1, .write) }
    return main.boolean(at: -2) ? .done : failure(-1, .write)
  }

  /// Receives what is there, up to a few kilobytes.
  func receive(into buffer: inout ReceiveBuffer, pool: BufferPool) -> Progress {
    if let failed { return .failed(failed) }
    let top = main.count
    defer { main.count = top }
    let succeeded = invoke("receive", results: 3) { main in
      main.push(Self.chunk)
      return 1
    }
    guard succeeded else { return failure(-1, .read) }
    // All that was asked for, or nil, an error and the part that came.
    let isWhole = main.boolean(at: -3)
    guard let bytes = main.bytesIfString(at: isWhole ? -3 : -1), !bytes.isEmpty else {
      return failure(-2, .read)
    }
    var rest = bytes
    while !rest.isEmpty {
      guard let room = buffer.room(wanted: buffer.count + rest.count, pool: pool) else {
        return .failed("not enough memory")
      }
      let count = min(room.count, rest.count)
      room.copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
      buffer.filled(count)
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
    return .done
  }

  /// Sends from the front of the buffer, and removes what was sent.
  func send(_ buffer: inout OutputBuffer) -> Progress {
    if let failed { return .failed(failed) }
    while !buffer.isEmpty {
      let top = main.count
      defer { main.count = top }
      let all = buffer.count
      let succeeded = buffer.withUnsafeBytes { bytes in
        invoke("send", results: 3) { main in
          main.push(UnsafeRawBufferPointer(rebasing: bytes.prefix(1 << 20)))
          return 1
        }
      }
      guard succeeded else { return failure(-1, .write) }
      if main.boolean(at: -3) {
        buffer.removeFirst(min(all, main.integerIfInteger(at: -3) ?? all))
      } else {
        buffer.removeFirst(min(all, max(0, main.integerIfInteger(at: -1) ?? 0)))
        return failure(-2, .write)
      }
    }
    return .done
  }

  /// Pushes the peer's certificate, an object of LuaSec, or nil.
  func pushPeerCertificate(onto call: LuaCall) {
    let top = main.count
    if invoke("getpeercertificate", results: 1) {
      if main.state != call.state {
        lua_xmove(main.state, call.state, 1)
      }
    } else {
      main.count = top
      call.pushNil()
    }
  }

  /// Ends the connection, as far as that goes without waiting.
  func close() {
    guard isOpen else { return }
    let top = main.count
    _ = invoke("close", results: 0)
    main.count = top
    connection = LuaStored()
  }
}
