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

extension CopasServers {
  private var main: LuaCall { loop.main }

  /// A server's turn: takes the connections that are there.
  func accept(_ task: TaskID) {
    main.pushRetained(loop.tasks[task].reference)
    defer { main.pop() }
    guard main.reserve(12) else { return pause(task, "no memory") }
    if let server = sockets.server(main, at: -1) {
      guard server.pointee.descriptor >= 0 else { return end(task) }
      acceptOwn(task, server)
    } else if let descriptor = main.descriptorOfForeign(at: -1), descriptor >= 0 {
      acceptForeign(task, descriptor)
    } else {
      end(task)
    }
  }

  private func end(_ task: TaskID) {
    forget(task)
    loop.end(task)
  }

  private func wait(_ task: TaskID, for descriptor: Int32) {
    loop.readiness.arm(descriptor, for: .readable)
    loop.scheduler.park(task, on: descriptor, .read)
  }

  private func acceptOwn(_ task: TaskID, _ server: UnsafeMutablePointer<SocketObject>) {
    let descriptor = server.pointee.descriptor
    let turnEnd = loop.turn.end
    for _ in 0..<acceptBurst {
      do throws(Errno) {
        guard let connection = try server.pointee.socket.accept() else {
          loop.scheduler.markUnready(descriptor, .read)
          wait(task, for: descriptor)
          return
        }
        let record = nextConnection(of: task)
        main.pushRetained(record.handler)
        let socket = sockets.pushClient(connection, family: server.pointee.family, onto: main)
        socket.pointee.timeouts.block = 0
        socket.pointee.copasTimeouts = server.pointee.copasTimeouts
        socket.pointee.origin = record.origin
        if let make = loop.events.factories.isEmpty ? nil : loop.events.factories[task] {
          loop.startEvents(make, socket, origin: record.origin)
          main.pop()
        } else {
          serve(record)
        }
        // The handler may have removed the server.
        guard loop.scheduler.isRunning(task) else { return }
        if milonga_turn_is_over(turnEnd) != 0 { break }
      } catch {
        if error == .tooManyOpenFiles || error == .tooManyOpenFilesInSystem {
          pauseWithoutDescriptors(task, error)
        } else {
          pause(task, "\(error)")
        }
        return
      }
    }
    loop.scheduler.yield(task)
  }

  /// The same for a server of another library, on top of the main stack.
  private func acceptForeign(_ task: TaskID, _ descriptor: Int32) {
    let server = main.count
    let turnEnd = loop.turn.end
    defer { main.count = server }
    for _ in 0..<acceptBurst {
      main.count = server
      main.push("accept")
      guard milonga_gettable(main.state, Int32(server)) == LUA_OK else {
        return pause(task, main.describe(at: -1))
      }
      main.pushValue(at: server)
      guard milonga_pcall(main.state, 1, 2, 0) == LUA_OK else {
        return pause(task, main.describe(at: -1))
      }
      guard main.boolean(at: -2) else {
        let error = main.describe(at: -1)
        guard error == "timeout" else { return pause(task, error) }
        // Another library does not tell when the number gets a new life.
        do throws(Errno) { try loop.register(descriptor) } catch { return pause(task, "\(error)") }
        return wait(task, for: descriptor)
      }
      main.pop()
      let record = nextConnection(of: task)
      main.pushRetained(record.handler)
      main.insert(at: -2)
      do throws(LuaFailure) { try loop.stopBlocking(main, at: main.count) } catch {
        return pause(task, main.describe(at: -1))
      }
      loop.foreignSockets.setTimeouts(
        main, at: main.count, loop.foreignSockets.timeouts(main, at: server))
      loop.names.set(main, of: -1, loop.names.ofConnection(record.origin))
      serve(record)
      guard loop.scheduler.isRunning(task) else { return }
      if milonga_turn_is_over(turnEnd) != 0 { break }
    }
    loop.scheduler.yield(task)
  }

  private func pauseWithoutDescriptors(_ task: TaskID, _ error: Errno) {
    if !isOutOfDescriptors {
      isOutOfDescriptors = true
      writeLine("copas: no descriptors left (\(error)): new connections have to wait")
    }
    loop.scheduler.sleep(task, until: MonotonicTime.now() + acceptPause)
  }

  private func pause(_ task: TaskID, _ error: String) {
    writeLine("copas: accepting a connection failed: \(error)")
    loop.scheduler.sleep(task, until: MonotonicTime.now() + acceptPause)
  }

  /// Counts a connection.
  private func nextConnection(of task: TaskID) -> CopasTask {
    isOutOfDescriptors = false
    loop.tasks[task].origin.number += 1
    return loop.tasks[task]
  }

  /// Starts the handler, which lies below the connection on top of the main stack; both are popped.
  private func serve(_ record: CopasTask) {
    var reference: Int32 = 0
    if closesAutomatically {
      main.pushValue(at: -1)
      reference = main.retainTop()
    }
    let task = loop.spawnCoroutine(main, arguments: 1)
    main.pop()
    loop.tasks[task].connection = reference
    loop.tasks[task].origin = record.origin
    loop.beginTurn()
    loop.resume(task, .woken)
  }

  private var closesAutomatically: Bool {
    loop.module.table.push(onto: main)
    main.pushField("autoclose", of: -1)
    defer { main.pop(2) }
    return main.boolean(at: -1)
  }
}
