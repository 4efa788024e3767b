import CLua
import CShims
import IO
import Lua
import LuaSocket
import Scheduler
import SystemPackage

/// Connections that a server takes in one turn.
private let acceptBurst = 64
/// How long a server waits when the process has no descriptors left.
private let descriptorPause: Int64 = 100_000_000

extension CopasLoop {
  /// Serves the socket at 1. If it listens, each connection runs the function at 2 in a coroutine; a datagram
  /// socket has one coroutine for all.
  public func addServer(_ call: LuaCall) throws(LuaFailure) {
    try call.check(2, is: .function)
    unwrap(call, at: 1)
    if let socket = sockets.any.payload(call, at: 1), socket.pointee.kind == .datagram {
      addDatagramServer(call, socket)
      return
    }
    let socket = try checkServer(call)
    prepareServer(call, socket)
    do throws(Errno) {
      try watch(socket)
    } catch {
      throw call.failure("cannot watch the server's socket: \(error)")
    }
    let descriptor = socket.pointee.descriptor
    if let earlier = servers[descriptor] { removeTask(earlier) }
    call.pushValue(at: 1)
    let reference = call.retainTop()
    call.pushValue(at: 2)
    let handler = call.retainTop()
    var record = CopasTask(kind: .server, reference: reference, handler: handler)
    record.origin.server = serverNames.number(of: socketName(call, at: 1))
    let task = scheduler.spawn()
    store(record, for: task)
    servers[descriptor] = task
    // Connections may be there already.
    scheduler.yield(task)
  }

  private func addDatagramServer(
    _ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>
  ) {
    prepareServer(call, socket)
    let name = socketName(call, at: 1)
    call.pushValue(at: 2)
    call.pushValue(at: 1)
    let task = startThread(call, arguments: 1, name: "\(name):handler")
    call.pop()
    if socket.pointee.descriptor >= 0 { servers[socket.pointee.descriptor] = task }
  }

  /// The timeout at 3 and the name at 4, if they are given.
  private func prepareServer(_ call: LuaCall, _ socket: UnsafeMutablePointer<SocketObject>) {
    if let seconds = call.numberIfNumber(at: 3) {
      socket.pointee.copasTimeouts = .init(all: seconds)
    }
    socket.pointee.timeouts.block = 0
    if let name = call.isNoneOrNil(at: 4) ? nil : call.stringIfString(at: 4) {
      setName(call, of: 1, name)
    }
  }

  /// Stops serving the socket at 1, and closes it unless told otherwise.
  func removeServer(_ call: LuaCall, keepOpen: Bool) throws(LuaFailure) {
    unwrap(call, at: 1)
    let socket =
      if let own = sockets.any.payload(call, at: 1), own.pointee.kind == .datagram { own } else {
        try checkServer(call)
      }
    if let task = servers.removeValue(forKey: socket.pointee.descriptor), task != current {
      removeTask(task)
    }
    if !keepOpen { sockets.close(&socket.pointee) }
  }

  private func checkServer(
    _ call: LuaCall
  ) throws(LuaFailure) -> UnsafeMutablePointer<SocketObject> {
    guard let socket = sockets.tcp.server.payload(call, at: 1) else {
      throw call.argumentFailure(
        1, "tcp{server} expected: a listening socket, as socket.bind returns it")
    }
    guard socket.pointee.descriptor >= 0 else {
      throw call.argumentFailure(1, "the server's socket is closed")
    }
    return socket
  }

  private func removeTask(_ task: TaskID) {
    guard scheduler.exists(task) else { return }
    end(task)
  }

  private func wait(_ task: TaskID, server descriptor: Int32) {
    readiness.arm(descriptor, for: .readable)
    scheduler.park(task, on: descriptor, .read)
  }

  /// A server's turn: takes the connections that are there.
  func accept(_ task: TaskID) {
    let record = tasks[Int(task.index)]
    main.pushRetained(record.reference)
    defer { main.pop() }
    guard main.reserve(10), let server = sockets.tcp.server.payload(main, at: -1),
      server.pointee.descriptor >= 0
    else {
      // Closed behind our back.
      servers = servers.filter { $0.value != task }
      end(task)
      return
    }
    let descriptor = server.pointee.descriptor
    for _ in 0..<acceptBurst {
      do throws(Errno) {
        guard let connection = try server.pointee.socket.accept() else {
          scheduler.markUnready(descriptor, .read)
          wait(task, server: descriptor)
          return
        }
        tasks[Int(task.index)].origin.number += 1
        serve(connection, of: server, tasks[Int(task.index)])
        // The handler may have removed the server.
        guard scheduler.isRunning(task) else { return }
      } catch {
        pause(task, after: error)
        return
      }
    }
    scheduler.yield(task)
  }

  private func pause(_ task: TaskID, after error: Errno) {
    if error == .tooManyOpenFiles || error == .tooManyOpenFilesInSystem {
      if !isOutOfDescriptors {
        isOutOfDescriptors = true
        writeLine("copas: no descriptors left (\(error)): new connections have to wait")
      }
    } else {
      writeLine("copas: accepting a connection failed: \(error)")
    }
    scheduler.sleep(task, until: MonotonicTime.now() + descriptorPause)
  }

  private func serve(
    _ connection: Socket, of server: UnsafeMutablePointer<SocketObject>, _ record: CopasTask
  ) {
    isOutOfDescriptors = false
    main.pushRetained(record.handler)
    let socket = sockets.pushClient(connection, family: server.pointee.family, onto: main)
    socket.pointee.timeouts.block = 0
    socket.pointee.copasTimeouts = server.pointee.copasTimeouts
    socket.pointee.origin = (record.origin.server, record.origin.number)
    var reference: Int32 = 0
    if closesAutomatically {
      main.pushValue(at: -1)
      reference = main.retainTop()
    }
    let task = spawnCoroutine(main, arguments: 1)
    main.pop()
    tasks[Int(task.index)].connection = reference
    tasks[Int(task.index)].origin = record.origin
    scheduler.beginTurn()
    resume(task, .woken)
  }

  private var closesAutomatically: Bool {
    main.pushRetained(moduleReference)
    main.pushField("autoclose", of: -1)
    defer { main.pop(2) }
    return main.boolean(at: -1)
  }
}
