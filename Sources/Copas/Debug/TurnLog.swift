import CMilongaLua
import CMilongaShims
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaScheduler

/// `copas.debug.start`: tells a Lua function whenever a coroutine is resumed, waits, or ends. The
/// words are those of Copas 4.11, and so are the pieces in which the function gets them.
final class TurnLog {
  private let logger: LuaStored
  /// Tells of the coroutines that run the callbacks of `copas.timeout`, too.
  private let logsCore: Bool
  /// What coroutines wait for, by name.
  private var sockets: [TaskID: String] = [:]

  init(logger: consuming LuaStored, logsCore: Bool) {
    self.logger = logger
    self.logsCore = logsCore
  }

  func turnBegins(_ loop: CopasLoop, _ task: TaskID, _ reason: WakeReason) {
    let socket = sockets.removeValue(forKey: task)
    guard reason != .cancelled else { return }
    let name = loop.names.ofThread(task)
    if let socket = reason == .ready ? socket : nil {
      tell(loop, "resuming '", name, "' for socket '", socket, "'")
    } else if isWanted(name) {
      tell(loop, "resuming '", name, "'")
    }
  }

  func turnEnded(_ loop: CopasLoop, _ task: TaskID, status: Int32) {
    let name = loop.names.ofThread(task)
    guard isWanted(name) else { return }
    guard status == LUA_YIELD else {
      if status == LUA_OK { tell(loop, "exiting '", name, "'") }
      return
    }
    switch loop.scheduler.wait(of: task) {
    case .nothing:
      break
    case .turn:
      tell(loop, "yielding '", name, "' to SLEEP for ", 0, " seconds")
    case .time(let deadline):
      tell(loop, "yielding '", name, "' to SLEEP for ", seconds(until: deadline), " seconds")
    case .descriptor(let descriptor, let direction):
      let socket = socketName(loop, task, descriptor)
      sockets[task] = socket
      tell(
        loop, "yielding '", name, "' to \(direction == .read ? "READ" : "WRITE") on '", socket, "'")
    }
  }

  private func isWanted(_ name: String) -> Bool { logsCore || name != "copas_core_timer" }

  /// -1 for ever, as Copas says.
  private func seconds(until deadline: Int64) -> Double {
    if deadline == MonotonicTime.never { return -1 }
    let milliseconds = max(0, MonotonicTime.seconds(until: deadline)) * 1e3
    return milliseconds.rounded() / 1e3
  }

  /// The socket is somewhere on the stack of the function that waits.
  private func socketName(_ loop: CopasLoop, _ task: TaskID, _ descriptor: Int32) -> String {
    let coroutine = LuaCall(loop.tasks[task].coroutine!)
    var frame = lua_Debug()
    guard lua_getstack(coroutine.state, 0, &frame) != 0, coroutine.reserve(8) else {
      return "descriptor \(descriptor)"
    }
    var foreign: String?
    for local: Int32 in 1...8 {
      guard lua_getlocal(coroutine.state, &frame, local) != nil else { break }
      defer { coroutine.pop() }
      let place = coroutine.count
      loop.unwrap(coroutine, at: place)
      if let socket = loop.sockets.any.payload(coroutine, at: place) {
        if socket.pointee.descriptor == descriptor {
          return loop.names.ofSocket(coroutine, at: place)
        }
      } else if foreign == nil, [.userdata, .table].contains(coroutine.type(at: place)) {
        foreign = loop.names.ofSocket(coroutine, at: place)
      }
    }
    return foreign ?? "descriptor \(descriptor)"
  }

  /// Calls the logger. When it fails, that is printed, and the log ends.
  private func tell(_ loop: CopasLoop, _ pieces: any LuaConvertible...) {
    let main = loop.main
    guard main.reserve(pieces.count + 2) else { return }
    logger.push(onto: main)
    for piece in pieces { piece.push(onto: main) }
    guard milonga_pcall(main.state, Int32(pieces.count), 0, 0) != LUA_OK else { return }
    writeLine(
      "copas.debug: the logger failed, and is not called any more: "
        + main.describe(at: main.count))
    main.pop()
    loop.stopLog()
  }
}
