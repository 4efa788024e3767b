import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaLua
import MilongaScheduler

/// The socket that each coroutine has waited for last, for its error handler. They are not kept
/// alive: what a program drops is collected, and closed.
final class WaitedSockets {
  /// By the addresses of the coroutines; empty for none yet. The values are weak.
  private var table = LuaStored()

  /// The coroutine waits for the value at `index`.
  fileprivate func set(_ call: LuaCall, at index: Int, of coroutine: OpaquePointer) {
    if table.isEmpty { table = call.makeWeakTable("v") }
    table.push(onto: call)
    call.pushValue(at: index)
    milonga_rawsetp(call.state, -2, UnsafeRawPointer(coroutine))
    call.pop()
  }

  /// Pushes the socket, or nil when there is none, or it is gone.
  fileprivate func push(_ call: LuaCall, of coroutine: OpaquePointer) {
    guard !table.isEmpty else { return call.pushNil() }
    table.push(onto: call)
    milonga_rawgetp(call.state, -1, UnsafeRawPointer(coroutine))
    call.remove(at: -2)
  }
}

extension CopasLoop {
  /// The running coroutine is going to wait for a socket, whose Lua value is at 1. To wait for the
  /// same one again costs a comparison.
  @inline(__always)
  func noteWait(_ call: LuaCall, for socket: UnsafeMutablePointer<SocketObject>) {
    guard let current,
      tasks[current].socket != UnsafeRawPointer(socket) || !socket.pointee.isWatched
    else { return }
    note(call, UnsafeRawPointer(socket), of: current)
  }

  /// The same for a socket of another library.
  func noteWait(_ call: LuaCall) {
    guard let current, let identity = call.identity(at: 1) else { return }
    note(call, identity, of: current)
  }

  @inline(never)
  private func note(_ call: LuaCall, _ socket: UnsafeRawPointer, of task: TaskID) {
    tasks[task].socket = socket
    // A handler of a server knows its connection.
    guard tasks[task].connection == 0, let coroutine = tasks[task].coroutine else { return }
    waitedSockets.set(call, at: 1, of: coroutine)
  }

  /// Pushes what the error handler of the coroutine is told of a socket: the connection that it
  /// serves, or the socket that it has waited for last, or nil.
  func pushSocket(of record: CopasTask) {
    if record.connection != 0 {
      main.pushRetained(record.connection)
    } else if record.socket != nil, let coroutine = record.coroutine {
      waitedSockets.push(main, of: coroutine)
    } else {
      main.pushNil()
    }
  }
}
