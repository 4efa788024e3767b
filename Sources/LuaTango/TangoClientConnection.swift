import CLua
import Copas
import IO
import Lua
import LuaCodec
import LuaSocket
import RPC
import Scheduler
import SystemPackage

/// A client's connection, and its calls that await their answers.
///
/// Answers come in the order of the calls. Of the coroutines that wait, the one that has waited
/// longest reads; when it has its answer, the next one takes over. Outside the dispatcher a call
/// blocks.
final class TangoClientConnection: ThreadObserver {
  let connection: TangoConnection
  let peer: String
  private let configuration: ClientConfiguration
  private var socketReference: Int32
  /// As an observer of coroutines that wait for their answers.
  private var observerNumber: Int32 = 0
  private var calls: CallsInFlight<Waiter>
  /// The call that ran last has its results on the stack.
  private(set) var hasFinished = false

  /// Who waits for an answer: a coroutine, or (`nil`) the program itself.
  private struct Waiter {
    let task: TaskID?
    let id: Int
  }

  private var lastID = 0

  /// The places of the stack while a call waits.
  private enum Slot {
    static let connection = 1
    static let id = 2
    static let deadline = 3
  }

  /// What a call does next when it runs again.
  private enum Step: Int {
    case exchange = 1
    case serialize
    case unserialize
  }

  init(
    _ configuration: ClientConfiguration, _ connection: TangoConnection, socketReference: Int32
  ) {
    self.configuration = configuration
    self.connection = connection
    self.socketReference = socketReference
    peer = "\(configuration.address):\(configuration.port)"
    calls = CallsInFlight(limit: configuration.limits.callsInFlight)
    observerNumber = connection.loop.addObserver(self)
  }

  /// Lua has collected the connection: lets go of the socket, which is closed when it is collected.
  func release() {
    guard socketReference != 0 else { return }
    connection.loop.removeObserver(observerNumber)
    configuration.codec.release(connection.loop.main)
    connection.loop.main.release(socketReference)
    socketReference = 0
  }

  func close() {
    for waiter in calls.failAll() { wake(waiter) }
    connection.close()
  }

  // MARK: A call

  /// Performs the call on the stack: this connection, the path, the arguments. Runs again until it
  /// has the results.
  func run(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    hasFinished = false
    if call.phase == .entered { return try begin(call) }
    switch Step(rawValue: call.step)! {
    case .exchange: return try exchange(call)
    case .serialize:
      guard call.type(at: -1) == .string, let body = call.bytesIfString(at: -1) else {
        throw call.failure("tango: serialize returned no string")
      }
      do throws(SerializationFailure) {
        try connection.collect(body: body)
      } catch {
        throw call.failure("tango: \(error)")
      }
      return try startExchange(call)
    case .unserialize:
      guard call.type(at: -1) == .table else {
        throw call.failure("tango: unserialize returned no table")
      }
      call.spreadElements(limit: configuration.limits.arguments + 1)
      return try finish(call)
    }
  }

  private func begin(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    guard connection.isOpen else { throw call.failure("\(peer): closed") }
    if let serialize = configuration.codec.serialize {
      call.gatherElements(from: 2)
      call.pushRetained(serialize)
      call.insert(at: 2)
      return .call(arguments: 1, results: 1, state: Step.serialize.rawValue)
    }
    try collectRequest(call)
    return try startExchange(call)
  }

  private func collectRequest(_ call: LuaCall) throws(LuaFailure) {
    let top = call.count
    var index = 2
    let message = MessageWriter(
      call, configuration.limits, start: connection.writer.buffer.count)
    do throws(SerializationFailure) {
      try connection.collect { (writer: inout TangoTextWriter) throws(SerializationFailure) in
        writer.beginTable(elements: 0, entries: 0)
        while index <= top {
          try message.element(index - 1, valueAt: index, to: &writer)
          index += 1
        }
        writer.endTable()
      }
    } catch {
      call.count = top
      let path = call.stringIfString(at: 2) ?? "?"
      throw call.failure("tango: argument #\(index - 2) of '\(path)': \(error)")
    }
  }

  private func startExchange(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    call.count = Slot.connection
    let isInside = connection.loop.isInside(call)
    if !isInside, calls.longestWaiting?.task != nil {
      connection.writer.buffer.removeFirst(connection.writer.buffer.count)
      throw call.failure(
        "tango: Copas threads await answers on this connection; call from a thread, too")
    }
    lastID += 1
    let deadline = MonotonicTime.deadline(
      after: configuration.timeout, from: MonotonicTime.now())
    let waiter = Waiter(task: isInside ? connection.loop.currentTask : nil, id: lastID)
    guard calls.add(waiter) != nil else {
      throw call.failure(
        "tango: \(calls.limit) calls await their answers on this connection already")
    }
    if isInside { connection.loop.observeRemoval(by: observerNumber) }
    call.push(lastID)
    call.push(Int(deadline))
    return try exchange(call)
  }

  /// Sends and receives until the answer to this call is there.
  private func exchange(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let id = try call.integer(at: Slot.id)
    let deadline = Int64(try call.integer(at: Slot.deadline))
    while true {
      guard connection.isOpen else { throw call.failure("\(peer): closed") }
      let isTimedOut = call.phase == .resumed && connection.loop.hasTimedOut
      switch connection.flush() {
      case .done: break
      case .failed(let failure): throw fail(call, failure.text)
      case .wait:
        if let outcome = try wait(call, id, .write, deadline, isTimedOut) { return outcome }
        continue
      }
      guard calls.longestWaiting?.id == id else {
        // Somebody else reads.
        if isTimedOut { throw timeOut(call, id) }
        return connection.loop.sleep(until: deadline, state: Step.exchange.rawValue)
      }
      switch connection.nextFrame {
      case .frame(let headerBytes, let bodyBytes):
        guard case .caller = calls.next() else {
          // The answer to a call that was given up.
          connection.consume(headerBytes + bodyBytes)
          continue
        }
        wakeNext()
        return try take(call, headerBytes, bodyBytes)
      case .invalid(let error): throw fail(call, "bad answer: \(error)")
      case .incomplete(let needed):
        // What the dispatcher knows of the socket counts only while it runs.
        let mayRead =
          !connection.loop.isInside(call) || connection.loop.isReady(connection.socket, .read)
        switch connection.receive(needed: needed, mayRead: mayRead) {
        case .done: continue
        case .failed(let failure): throw fail(call, failure.text)
        case .wait:
          if let outcome = try wait(call, id, .read, deadline, isTimedOut) { return outcome }
        }
      }
    }
  }

  /// Waits for the socket: an outcome inside the dispatcher, nil when it is ready.
  private func wait(
    _ call: LuaCall, _ id: Int, _ direction: Direction, _ deadline: Int64, _ isTimedOut: Bool
  ) throws(LuaFailure) -> LuaOutcome? {
    guard connection.loop.isInside(call) else {
      let failure = SocketTimeouts.wait(
        connection.socket.pointee.descriptor, for: direction == .read ? .readable : .writable,
        until: deadline)
      guard let failure else { return nil }
      throw failure == .timeout ? timeOut(call, id) : fail(call, failure.text)
    }
    if isTimedOut { throw timeOut(call, id) }
    if direction == .write { connection.loop.markUnready(connection.socket, .write) }
    do throws(Errno) {
      return try connection.loop.wait(
        connection.socket, for: direction, until: deadline, state: Step.exchange.rawValue)
    } catch {
      throw fail(call, "\(error)")
    }
  }

  /// Reads the answer onto the stack.
  private func take(
    _ call: LuaCall, _ headerBytes: Int, _ bodyBytes: Int
  ) throws(LuaFailure) -> LuaOutcome {
    let body = connection.body(headerBytes, bodyBytes)
    if let unserialize = configuration.codec.unserialize {
      call.pushRetained(unserialize)
      call.push(body)
      connection.consume(headerBytes + bodyBytes)
      return .call(arguments: 1, results: 1, state: Step.unserialize.rawValue)
    }
    do throws(CodecError) {
      var sink = LuaStackSink(call)
      try TangoText.readMessage(body, limits: configuration.limits.codec, into: &sink)
    } catch {
      throw fail(call, "bad answer: \(error)")
    }
    connection.consume(headerBytes + bodyBytes)
    return try finish(call)
  }

  /// The answer is on the stack: a status, then results or an error value.
  private func finish(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    hasFinished = true
    let status = Slot.deadline + 1
    if call.count >= status, call.type(at: status) == .boolean, call.boolean(at: status) {
      return .results(call.count - status)
    }
    call.count = status + 1
    throw call.type(at: -1) == .string ? call.failureWithPosition() : .raised
  }

  // MARK: Failures

  /// This call is given up; the connection can still be used.
  private func timeOut(_ call: LuaCall, _ id: Int) -> LuaFailure {
    calls.abandon { $0.id == id }
    wakeNext()
    return call.failure("\(peer): timeout")
  }

  /// The connection cannot be used any more: everybody who waits is told.
  private func fail(_ call: LuaCall, _ reason: String) -> LuaFailure {
    close()
    return call.failure("\(peer): \(reason)")
  }

  /// A coroutine that was removed while it waited reads no more: the next one in the line does.
  func ended(_ task: TaskID) {
    calls.abandon { $0.task == task }
    wakeNext()
  }

  /// The next one in the line reads.
  private func wakeNext() {
    if let waiter = calls.longestWaiting { wake(waiter) }
  }

  private func wake(_ waiter: Waiter) {
    if let task = waiter.task { connection.loop.wake(task) }
  }
}
