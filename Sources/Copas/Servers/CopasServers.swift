import CMilongaLua
import CMilongaShims
import CMilongaTurns
import LuaSocket
import MilongaIO
import MilongaLua
import MilongaScheduler
import SystemPackage

/// Connections that a server takes in one turn.
private let acceptBurst = 64
/// Nanoseconds that a server rests when it cannot take a connection, such as without descriptors.
private let acceptPause: Int64 = 100_000_000

extension CopasLoop {
  /// Serves the socket at 1. If it listens, each connection runs the function at 2 in a coroutine; a datagram
  /// socket has one coroutine for all. Listening sockets of other libraries keep to LuaSocket's protocol:
  /// `getfd`, `settimeout(0)`, and an `accept` that says `timeout` when nobody is there.
  public func addServer(_ call: LuaCall) throws(LuaFailure) {
    try call.check(2, is: .function)
    unwrap(call, at: 1)
    let descriptor = try checkServer(call)
    if sockets.any.payload(call, at: 1) == nil { try stopBlocking(call, at: 1) }
    prepareServer(call)
    if isDatagram(call) {
      addDatagramServer(call, descriptor)
      return
    }
    do throws(Errno) {
      if let socket = sockets.server(call, at: 1) {
        try watch(socket)
      } else {
        try register(descriptor)
      }
    } catch {
      throw call.failure("cannot watch the server's socket: \(error)")
    }
    if let earlier = servers[descriptor] { end(earlier) }
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

  private func isDatagram(_ call: LuaCall) -> Bool {
    if let socket = sockets.any.payload(call, at: 1) { return socket.pointee.kind == .datagram }
    return describe(call, at: 1).hasPrefix("udp")
  }

  private func addDatagramServer(_ call: LuaCall, _ descriptor: Int32) {
    let name = socketName(call, at: 1)
    call.pushValue(at: 2)
    call.pushValue(at: 1)
    let task = startThread(call, arguments: 1, name: "\(name):handler")
    call.pop()
    servers[descriptor] = task
  }

  /// A datagram socket is going to be closed. The coroutine that serves it finds out; a server that gets the
  /// descriptor next must not end it.
  func forgetDatagramServer(_ descriptor: Int32) {
    guard let task = servers[descriptor], tasks[Int(task.index)].kind == .coroutine else { return }
    servers[descriptor] = nil
  }

  /// The timeout at 3 and the name at 4, if they are given.
  private func prepareServer(_ call: LuaCall) {
    if let seconds = call.numberIfNumber(at: 3) {
      setCopasTimeouts(call, at: 1, .init(all: seconds))
    }
    sockets.any.payload(call, at: 1)?.pointee.timeouts.block = 0
    if let name = call.isNoneOrNil(at: 4) ? nil : call.stringIfString(at: 4) {
      setName(call, of: 1, name)
    }
  }

  /// Stops serving the socket at 1, and closes it unless told otherwise.
  func removeServer(_ call: LuaCall, keepOpen: Bool) throws(LuaFailure) {
    unwrap(call, at: 1)
    if let task = servers.removeValue(forKey: try checkServer(call)), task != current { end(task) }
    guard !keepOpen else { return }
    call.pushValue(at: 1)
    closeSocket(call)
  }

  /// The descriptor of the server at 1.
  private func checkServer(_ call: LuaCall) throws(LuaFailure) -> Int32 {
    let descriptor: Int32?
    if let socket = sockets.any.payload(call, at: 1) {
      let isServer = socket.pointee.kind == .datagram || sockets.server(call, at: 1) != nil
      descriptor = isServer ? socket.pointee.descriptor : nil
    } else if [.userdata, .table].contains(call.type(at: 1)) {
      descriptor = descriptorOfForeign(call, at: 1)
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

  private func wait(_ task: TaskID, server descriptor: Int32) {
    readiness.arm(descriptor, for: .readable)
    scheduler.park(task, on: descriptor, .read)
  }

  /// A server's turn: takes the connections that are there.
  func accept(_ task: TaskID) {
    main.pushRetained(tasks[Int(task.index)].reference)
    defer { main.pop() }
    guard main.reserve(12) else { return pause(task, "no memory") }
    if let server = sockets.server(main, at: -1) {
      guard server.pointee.descriptor >= 0 else { return endServer(task) }
      acceptOwn(task, server)
    } else if let descriptor = descriptorOfForeign(main, at: -1), descriptor >= 0 {
      acceptForeign(task, descriptor)
    } else {
      endServer(task)
    }
  }

  /// The socket was closed behind our back.
  private func endServer(_ task: TaskID) {
    servers = servers.filter { $0.value != task }
    end(task)
  }

  private func acceptOwn(_ task: TaskID, _ server: UnsafeMutablePointer<SocketObject>) {
    let descriptor = server.pointee.descriptor
    let end = turnEnd
    for _ in 0..<acceptBurst {
      do throws(Errno) {
        guard let connection = try server.pointee.socket.accept() else {
          scheduler.markUnready(descriptor, .read)
          wait(task, server: descriptor)
          return
        }
        let record = nextConnection(of: task)
        main.pushRetained(record.handler)
        let socket = sockets.pushClient(connection, family: server.pointee.family, onto: main)
        socket.pointee.timeouts.block = 0
        socket.pointee.copasTimeouts = server.pointee.copasTimeouts
        socket.pointee.origin = (record.origin.server, record.origin.number)
        if let make = events.factories.isEmpty ? nil : events.factories[task] {
          startEvents(make, socket, origin: record.origin)
          main.pop()
        } else {
          serve(record)
        }
        // The handler may have removed the server.
        guard scheduler.isRunning(task) else { return }
        if milonga_turn_is_over(end) != 0 { break }
      } catch {
        if error == .tooManyOpenFiles || error == .tooManyOpenFilesInSystem {
          pauseWithoutDescriptors(task, error)
        } else {
          pause(task, "\(error)")
        }
        return
      }
    }
    scheduler.yield(task)
  }

  /// The same for a server of another library, on top of the main stack.
  private func acceptForeign(_ task: TaskID, _ descriptor: Int32) {
    let server = main.count
    let end = turnEnd
    defer { main.count = server }
    for _ in 0..<acceptBurst {
      main.count = server
      main.push("accept")
      guard milonga_gettable(main.state, Int32(server)) == LUA_OK else {
        return pause(task, describe(main, at: -1))
      }
      main.pushValue(at: server)
      guard milonga_pcall(main.state, 1, 2, 0) == LUA_OK else {
        return pause(task, describe(main, at: -1))
      }
      guard main.boolean(at: -2) else {
        let error = describe(main, at: -1)
        guard error == "timeout" else { return pause(task, error) }
        // Nobody tells us when the number gets a new life.
        do throws(Errno) { try register(descriptor) } catch { return pause(task, "\(error)") }
        return wait(task, server: descriptor)
      }
      main.pop()
      let record = nextConnection(of: task)
      main.pushRetained(record.handler)
      main.insert(at: -2)
      do throws(LuaFailure) { try stopBlocking(main, at: main.count) } catch {
        return pause(task, describe(main, at: -1))
      }
      setCopasTimeouts(main, at: main.count, copasTimeouts(main, at: server))
      let origin = record.origin
      setName(main, of: -1, "\(serverNames[origin.server]):client_\(origin.number)")
      serve(record)
      guard scheduler.isRunning(task) else { return }
      if milonga_turn_is_over(end) != 0 { break }
    }
    scheduler.yield(task)
  }

  private func pauseWithoutDescriptors(_ task: TaskID, _ error: Errno) {
    if !isOutOfDescriptors {
      isOutOfDescriptors = true
      writeLine("copas: no descriptors left (\(error)): new connections have to wait")
    }
    scheduler.sleep(task, until: MonotonicTime.now() + acceptPause)
  }

  private func pause(_ task: TaskID, _ error: String) {
    writeLine("copas: accepting a connection failed: \(error)")
    scheduler.sleep(task, until: MonotonicTime.now() + acceptPause)
  }

  /// Counts a connection.
  private func nextConnection(of task: TaskID) -> CopasTask {
    isOutOfDescriptors = false
    tasks[Int(task.index)].origin.number += 1
    return tasks[Int(task.index)]
  }

  /// Starts the handler, which lies below the connection on top of the main stack; both are popped.
  private func serve(_ record: CopasTask) {
    var reference: Int32 = 0
    if closesAutomatically {
      main.pushValue(at: -1)
      reference = main.retainTop()
    }
    let task = spawnCoroutine(main, arguments: 1)
    main.pop()
    tasks[Int(task.index)].connection = reference
    tasks[Int(task.index)].origin = record.origin
    beginTurn()
    resume(task, .woken)
  }

  private var closesAutomatically: Bool {
    main.pushRetained(moduleReference)
    main.pushField("autoclose", of: -1)
    defer { main.pop(2) }
    return main.boolean(at: -1)
  }
}
