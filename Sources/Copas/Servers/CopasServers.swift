import LuaSocket
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

/// The servers of a dispatcher: listening sockets, each with a task that takes its connections, and
/// datagram sockets, each with one coroutine.
final class CopasServers {
  unowned(unsafe) var loop: CopasLoop!
  /// By their descriptors.
  private var tasks: [Int32: TaskID] = [:]
  /// Whether the process ran out of descriptors, and that was said.
  var isOutOfDescriptors = false

  var sockets: SocketLibrary { loop.sockets }

  /// Serves the socket at 1. If it listens, each connection runs the function at 2 in a coroutine;
  /// a datagram socket has one coroutine for all. Listening sockets of other libraries keep to
  /// LuaSocket's protocol: `getfd`, `settimeout(0)`, and an `accept` that says `timeout` when no
  /// connection is there.
  func add(_ call: LuaCall) throws(LuaFailure) {
    try call.check(2, is: .function)
    loop.unwrap(call, at: 1)
    let descriptor = try checkServer(call)
    if sockets.any.payload(call, at: 1) == nil { try loop.stopBlocking(call, at: 1) }
    prepareServer(call)
    if isDatagram(call) {
      addDatagramServer(call, descriptor)
      return
    }
    do throws(Errno) {
      if let socket = sockets.server(call, at: 1) {
        try loop.watch(socket)
      } else {
        try loop.register(descriptor)
      }
    } catch {
      throw call.failure("cannot watch the server's socket: \(error)")
    }
    if let earlier = tasks[descriptor] { loop.end(earlier) }
    call.pushValue(at: 2)
    start(call, socket: 1, descriptor, handler: call.retainTop())
  }

  /// Starts the task of the listening socket at `index`.
  ///
  /// - Parameter handler: the number of the Lua function that serves connections, 0 for none.
  /// - Returns: the task.
  @discardableResult
  func start(
    _ call: LuaCall, socket index: Int, _ descriptor: Int32, handler: Int32
  ) -> TaskID {
    call.pushValue(at: index)
    var record = CopasTask(kind: .server, reference: call.retainTop(), handler: handler)
    record.origin.server = loop.names.number(ofServer: loop.names.ofSocket(call, at: index))
    let task = loop.spawn(record)
    tasks[descriptor] = task
    // Connections may be there already.
    loop.scheduler.yield(task)
    return task
  }

  private func isDatagram(_ call: LuaCall) -> Bool {
    if let socket = sockets.any.payload(call, at: 1) { return socket.pointee.kind == .datagram }
    return call.describe(at: 1).hasPrefix("udp")
  }

  private func addDatagramServer(_ call: LuaCall, _ descriptor: Int32) {
    let name = loop.names.ofSocket(call, at: 1)
    call.pushValue(at: 2)
    call.pushValue(at: 1)
    let task = loop.startThread(call, arguments: 1, name: "\(name):handler")
    call.pop()
    tasks[descriptor] = task
  }

  /// The timeout at 3 and the name at 4, if they are given.
  private func prepareServer(_ call: LuaCall) {
    if let seconds = call.numberIfNumber(at: 3) {
      loop.foreignSockets.setTimeouts(call, at: 1, CopasTimeouts(all: seconds))
    }
    sockets.any.payload(call, at: 1)?.pointee.timeouts.block = 0
    if let name = call.isNoneOrNil(at: 4) ? nil : call.stringIfString(at: 4) {
      loop.names.set(call, of: 1, name)
    }
  }

  /// Stops serving the socket at 1, and closes it unless told otherwise.
  func remove(_ call: LuaCall, keepOpen: Bool) throws(LuaFailure) {
    loop.unwrap(call, at: 1)
    remove(try checkServer(call))
    guard !keepOpen else { return }
    call.pushValue(at: 1)
    loop.closeSocket(call)
  }

  /// Stops serving the descriptor.
  func remove(_ descriptor: Int32) {
    if let task = tasks.removeValue(forKey: descriptor), task != loop.current { loop.end(task) }
  }

  /// A socket is going to be closed. If it is a datagram server, the coroutine that serves it finds
  /// out; a server that gets the descriptor next must not end it.
  func forgetDatagramServer(_ descriptor: Int32) {
    guard !tasks.isEmpty, let task = tasks[descriptor], loop.tasks[task].kind == .coroutine
    else { return }
    tasks[descriptor] = nil
  }

  /// The task of a server whose socket was closed by other means.
  func forget(_ task: TaskID) { tasks = tasks.filter { $0.value != task } }

  func forgetAll() { tasks = [:] }

  /// The program has named the socket: connections from now on have names made of that.
  func rename(_ descriptor: Int32, _ name: String) {
    guard let task = tasks[descriptor], loop.scheduler.exists(task),
      loop.tasks[task].kind == .server
    else { return }
    loop.tasks[task].origin.server = loop.names.number(ofServer: name)
  }

  /// The descriptor of the server at 1.
  private func checkServer(_ call: LuaCall) throws(LuaFailure) -> Int32 {
    let descriptor: Int32?
    if let socket = sockets.any.payload(call, at: 1) {
      let isServer = socket.pointee.kind == .datagram || sockets.server(call, at: 1) != nil
      descriptor = isServer ? socket.pointee.descriptor : nil
    } else if [.userdata, .table].contains(call.type(at: 1)) {
      descriptor = call.descriptorOfForeign(at: 1)
    } else {
      descriptor = nil
    }
    guard let descriptor else {
      throw call.argumentFailure(
        1, "tcp{server} expected: a listening socket, as socket.bind returns it")
    }
    guard descriptor >= 0 else {
      throw call.argumentFailure(1, "the server's socket is closed")
    }
    return descriptor
  }
}

extension CopasLoop {
  /// Serves the socket at 1 with the function at 2, as `copas.addserver` does.
  package func addServer(_ call: LuaCall) throws(LuaFailure) { try servers.add(call) }
}
