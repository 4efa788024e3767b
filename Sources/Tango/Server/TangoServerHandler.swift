import CMilongaTurns
import Logging
import MilongaRPC
import NIOConnection
import NIOCore
import NIOSSL
import NIOTLS

/// A connection of a server: takes calls, carries them out one after the other, answers them.
final class TangoServerHandler: ChannelInboundHandler, @unchecked Sendable {
  typealias InboundIn = ByteBuffer

  private enum State {
    /// The handshake, or the program's permission, is to come.
    case opening
    case serving
    /// The peer has gone. What it called before runs, and is not answered.
    case left
    /// No more calls are taken; it closes when the answers have left.
    case ending
  }

  private let server: TangoServer
  private let configuration: TangoServer.Configuration
  private let observer: CallObserver
  private let scratch: EventLoopScratch
  private let elements: MessageElements
  private var state = State.opening
  private(set) var context: ChannelHandlerContext?
  private let executor: EventLoopExecutor
  private(set) var reader: FrameReader
  private(set) var writer = TangoTextWriter()
  private var references: References<any TangoObject>
  /// Where the next result of the answer goes.
  private var nextElement = 2
  /// The async function that runs.
  private var running: Task<Void, Never>?
  private var handshakeTimer: Scheduled<Void>?
  /// The channel was told not to read on while the peer's calls wait.
  private var isPaused = false
  private var isReading = false
  /// When its turn on the event loop has lasted long enough, in ticks of `CTurns`.
  private var turnEnd: UInt64 = 0
  /// Its turn is over; it goes on when other connections have had theirs.
  private var isGivingWay = false
  /// The last answers are on their way.
  private var closesWhenSent = false

  // MARK: What is held (TangoServerHandler+Holding)

  let keeper: BufferKeeper
  var holder: BufferHolder?
  /// The keeper knows of something that is held, or has to be told.
  var isHolding = false
  /// It had to go, because it held the most.
  private(set) var isEvicted = false
  /// Bytes of the call whose function runs, when it is large.
  var serving = 0

  /// Bytes of answers that may wait for the peer to read them before its next call is taken.
  private static let mostUnsent = 64 << 10

  init(_ server: TangoServer, _ eventLoop: any EventLoop) {
    self.server = server
    executor = EventLoopExecutor(eventLoop)
    configuration = server.configuration
    observer = server.observer
    scratch = server.scratch(of: eventLoop)
    keeper = server.keepers.keeper(of: eventLoop)
    elements = scratch.elements
    reader = FrameReader(maxBytes: configuration.limits.frameBytes)
    references = References(limit: configuration.limits.references)
  }

  var eventLoop: any EventLoop { executor.eventLoop }
  private var peer: String { context?.channel.peerName ?? "unknown peer" }

  // MARK: Opening

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelActive(context: ChannelHandlerContext) {
    context.fireChannelActive()
    if configuration.tls != nil || configuration.authorize != nil {
      let timeout = configuration.handshakeTimeout
      handshakeTimer = context.eventLoop.scheduleTask(in: TimeAmount(timeout)) { [weak self] in
        self?.refuse("no handshake within \(timeout)")
      }
    }
    if configuration.tls == nil { authorize() }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case TLSUserEvent.handshakeCompleted: authorize()
    case is IdleStateHandler.IdleStateEvent where running == nil && !isGivingWay:
      // One that does not read its last answers is silent, too.
      if state == .ending { context.close(promise: nil) }
      refuse("silent for \(configuration.idleTimeout!)")
    default: context.fireUserInboundEventTriggered(event)
    }
  }

  private func authorize() {
    guard let context, state == .opening else { return }
    guard let authorize = configuration.authorize else { return serve() }
    let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
    let peer = TangoPeer(address: context.remoteAddress, certificate: certificate)
    running = Task(executorPreference: executor) {
      let reason: String?
      do {
        reason = try await authorize(peer) ? nil : "not authorized"
      } catch {
        reason = "not authorized: \(error)"
      }
      self.eventLoop.execute {
        self.running = nil
        if let reason { self.refuse(reason) } else { self.serve() }
      }
    }
  }

  private func serve() {
    handshakeTimer?.cancel()
    handshakeTimer = nil
    guard state == .opening else { return }
    state = .serving
    proceed()
  }

  // MARK: The channel

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    do throws(MemoryShortage) {
      try reader.append(unwrapInboundIn(data))
    } catch {
      return refuse("\(error) for its message")
    }
    isReading = true
    if !isGivingWay {
      turnEnd = milonga_turn_end()
      process()
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    flush()
    if isHolding || reader.count > 0 { tellHolding() }
    pauseOrGoOn()
    // No handler comes behind this one to be told.
  }

  /// A peer whose calls wait is not read.
  func pauseOrGoOn() {
    guard state != .left else { return }
    let isToPause =
      reader.count > 64 << 10
      && (running != nil || state != .serving || isGivingWay
        || context?.channel.isWritable == false || mustWaitForRoom)
    guard isToPause != isPaused, let context else { return }
    isPaused = isToPause
    context.channel.setOption(.autoRead, value: !isToPause)
      .whenFailure { [weak self] in self?.refuse("cannot stop reading: \($0)") }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    // What is written may leave at once; the end of the turn tells.
    isHolding = true
    if context.channel.isWritable { proceed() }
    context.fireChannelWritabilityChanged()
  }

  /// Something that calls waited for is over. It may have come in the same turn: a function that is async need not wait.
  private func proceed() {
    if takesCalls, reader.count > 0, milonga_turn_is_over(turnEnd) != 0 {
      giveWay()
    } else {
      process()
    }
    if !isReading { flush() }
    if isHolding { tellHolding() }
    pauseOrGoOn()
  }

  /// Ends the turn; what was answered leaves.
  private func giveWay() {
    guard !isGivingWay else { return }
    isGivingWay = true
    flush()
    EventLoopTurns.wait(on: eventLoop) { [self] in
      isGivingWay = false
      turnEnd = milonga_turn_end()
      proceed()
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    handshakeTimer?.cancel()
    running?.cancel()
    if state == .serving {
      state = .left
      if !isGivingWay { proceed() }
    } else if state != .left {
      end()
    }
    tellHolding()
    context.fireChannelInactive()
  }

  /// Nothing is to be done any more for a peer that has gone.
  private func end() {
    state = .ending
    _ = references.removeAll()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A peer that goes is no news.
    if !(error is IOError), !(error is NIOSSLError) || state == .opening { log("\(error)") }
    context.close(promise: nil)
  }

  private func log(_ reason: String) {
    configuration.logger.warning("\(peer): disconnected: \(reason)")
  }

  /// It holds the most, and that is too much.
  func endForMemory(_ reason: String) {
    log(reason)
    isEvicted = true
    if hasLeft { end() }
    state = .ending
    closesWhenSent = true
    reader.drop()
    writer.buffer.release()
    // Not in the middle of what somebody does with this connection, or another one.
    eventLoop.execute { self.context?.close(promise: nil) }
  }

  /// Closes without an answer.
  private func refuse(_ reason: String) {
    guard state != .ending else { return }
    state = .ending
    log(reason)
    context?.close(promise: nil)
  }

  /// The stream cannot be trusted any more: says why, and closes.
  private func disconnect(_ reason: String) {
    log(reason)
    respond(error: "tango server error: \(reason)")
    state = .ending
  }

  private func flush() {
    if state == .left { return dropAnswers() }
    guard let context, !closesWhenSent else { return }
    let isLast = state == .ending && running == nil
    guard isLast || !writer.buffer.isEmpty else { return }
    guard let buffer = takeAnswers() else {
      writer.buffer.release()
      return refuse("not enough memory for its answers")
    }
    var sent: EventLoopPromise<Void>?
    if isLast {
      // Closing at once would lose what the system has not yet taken, of this and of what was written before.
      closesWhenSent = true
      sent = context.eventLoop.makePromise()
      sent!.futureResult.whenComplete { [weak self] _ in self?.context?.close(promise: nil) }
    }
    context.writeAndFlush(NIOAny(buffer), promise: sent)
    if isHolding, !isReading { tellHolding() }
  }

  private func dropAnswers() {
    writer.buffer.removeFirst(writer.buffer.count)
    scratch.spare.giveBack(&writer.buffer)
  }

  /// Nil when there is no memory for a copy.
  private func takeAnswers() -> ByteBuffer? {
    guard SystemMemory.has(2 * writer.buffer.count) else { return nil }
    // The same memory again, unless the system has not taken yet what is in it.
    scratch.output.clear(minimumCapacity: writer.buffer.count)
    writer.buffer.withUnsafeBytes { _ = scratch.output.writeBytes($0) }
    writer.buffer.removeFirst(writer.buffer.count)
    scratch.spare.giveBack(&writer.buffer)
    let answers = scratch.output
    if answers.capacity > Self.mostUnsent { scratch.output = ByteBuffer() }
    return answers
  }

  // MARK: Calls

  private var takesCalls: Bool { state == .serving || state == .left }
  var hasLeft: Bool { state == .left }

  /// Carries out calls until one has to wait, or there are no more.
  private func process() {
    defer { elements.letGo() }
    while takesCalls, running == nil {
      if writer.buffer.count > Self.mostUnsent {
        flush()
        guard takesCalls, state == .left || context?.channel.isWritable == true else { return }
      }
      var isOver = false
      do {
        let isWaiting = try reader.takeFrames { body in
          take(body)
          isOver = milonga_turn_is_over(turnEnd) != 0
          return !isOver && takesCalls && running == nil && writer.buffer.count <= Self.mostUnsent
        }
        if isWaiting {
          if state == .left { end() }
          return
        }
        if isOver, running == nil, takesCalls { return giveWay() }
      } catch {
        disconnect("\(error)")
      }
    }
    // Answers do not wait for the function. They leave out here, because writing may come back with more to read.
    if running != nil { flush() }
  }

  @inline(__always)
  private func take(_ body: UnsafeRawBufferPointer) {
    elements.removeAll()
    guard SystemMemory.hasRoom(forValuesIn: body.count, configuration.limits.codec) else {
      return refuse("not enough memory for its call of \(body.count) bytes")
    }
    var sink = elements
    do throws(CodecError) {
      try TangoText.readMessage(body, limits: configuration.limits.codec, into: &sink)
    } catch {
      return respond(error: "tango server error: cannot read the request: \(error)")
    }
    dispatch(0, makesReference: false)
    if body.count > BufferKeeper.largeMessage, running != nil {
      serving = body.count
      isHolding = true
    }
  }

  /// - Parameter place: the element that is the path.
  private func dispatch(_ place: Int, makesReference: Bool) {
    guard case .string(let offset, let count) = elements[place] else {
      return respond(
        error: "tango server error: the request does not begin with the name of a function")
    }
    if let function = elements.withString(offset, count, { server.namespace.functions[$0] }) {
      return perform(function, place, makesReference: makesReference)
    }
    var walk = NamespaceWalk(server.namespace)
    let hasNewValue = if case .null = elements[place + 1] { false } else { true }
    let action: PathResolver.Action
    do {
      action = try elements.withString(offset, count) { path in
        try PathResolver.resolve(
          path, cursor: &walk, hasNewValue: hasNewValue, access: configuration.access)
      }
    } catch {
      return respond(failure: .string((error as! DispatchError).message))
    }
    switch action {
    case .call, .read, .write:
      perform(walk.node, action, place, makesReference: makesReference)
    case .createReference where !makesReference: dispatch(place + 1, makesReference: true)
    case .createReference: respond(error: "tango server error: tango.ref of tango.ref")
    case .callReference: callReference()
    case .releaseReference:
      if case .string(let offset, let count) = elements[place + 1] {
        elements.withString(offset, count) { _ = references.remove($0) }
      }
      respond { _ in }
    }
  }

  private func perform(
    _ node: TangoNamespace.Node, _ action: PathResolver.Action, _ place: Int, makesReference: Bool
  ) {
    switch node {
    case .table:
      respond(error: "tango server error: a table of functions cannot be sent")
    case .function(let function):
      perform(function, place, makesReference: makesReference)
    case .variable(let variable):
      let name = elements.value(at: place).description
      if makesReference { return respond(error: notAnObject) }
      do {
        if action == .write {
          guard let write = variable.write else {
            return respond(error: "tango server error \(name): no write_access")
          }
          try write(CallArguments(name: name, elements: elements, first: place + 1))
          respond { _ in }
        } else {
          try write(true) { try variable.read(self) }
        }
      } catch {
        respond(failure: error)
      }
    }
  }

  private func perform(_ function: RemoteFunction, _ place: Int, makesReference: Bool) {
    let arguments = CallArguments(name: function.path, elements: elements, first: place + 1)
    perform(function.body, function.path, arguments, makesReference: makesReference)
  }

  private var notAnObject: String {
    "tango.ref proxy did not create table nor userdata (but a value)"
  }

  private func perform(
    _ body: RemoteFunction.Body, _ path: String, _ arguments: CallArguments, makesReference: Bool
  ) {
    let begin = observer.begin()
    do {
      switch body {
      case .direct(let function):
        if makesReference { return respond(error: notAnObject) }
        if observer.isTracing {
          try observer.withSpan(path) { try write(true) { try function(arguments, self) } }
        } else {
          try write(true) { try function(arguments, self) }
        }
        observer.record(path, since: begin, succeeded: true)
      case .async(let function):
        if makesReference { return respond(error: notAnObject) }
        let function = try function(arguments)
        run(path, begin, function) { $0.respond($1) }
      case .object(let function):
        guard makesReference else {
          return respond(error: "\(path) returns an object: call it by tango.ref")
        }
        let function = try function(arguments)
        run(path, begin, function) { $0.keep($1) }
      }
    } catch {
      respond(failure: error)
      observer.record(path, since: begin, succeeded: false)
    }
  }

  /// Runs an async function; calls behind it wait.
  private func run<Results: Sendable>(
    _ path: String, _ begin: NIODeadline,
    _ function: @escaping @Sendable () async throws -> Results,
    _ finish: @escaping @Sendable (TangoServerHandler, Results) -> Void
  ) {
    running = Task(executorPreference: executor) {
      let outcome: Result<Results, any Error>
      do {
        outcome = .success(try await self.observer.withSpan(path, function))
      } catch {
        outcome = .failure(error)
      }
      self.finished(path, begin, outcome, finish)
    }
    // There is no peer that could wait for it.
    if state == .left { running?.cancel() }
  }

  private func finished<Results: Sendable>(
    _ path: String, _ begin: NIODeadline, _ outcome: Result<Results, any Error>,
    _ finish: @escaping @Sendable (TangoServerHandler, Results) -> Void
  ) {
    guard eventLoop.inEventLoop else {
      return eventLoop.execute { self.finished(path, begin, outcome, finish) }
    }
    running = nil
    serving = 0
    switch outcome {
    case .success(let results):
      finish(self, results)
      observer.record(path, since: begin, succeeded: true)
    case .failure(let error):
      respond(failure: error)
      observer.record(path, since: begin, succeeded: false)
    }
    proceed()
  }

  // MARK: References

  private func keep(_ object: any TangoObject) {
    do throws(ReferenceError) {
      let id = try references.insert(object).description
      respond { try $0.result(id) }
    } catch {
      respond(error: error.description)
    }
  }

  /// The call is `tango.ref_call`, the object's id, the method's name, arguments.
  private func callReference() {
    guard case .string(let offset, let count) = elements[1],
      let object = elements.withString(offset, count, { references[$0] })
    else {
      return respond(error: "tango.ref invalid id \(elements.value(at: 1).description.prefix(40))")
    }
    guard case .string(let offset, let count) = elements[2] else {
      return respond(error: "tango.ref: no method name")
    }
    let name = elements.withString(offset, count) { String(decoding: $0, as: UTF8.self) }
    let arguments = CallArguments(name: name, elements: elements, first: 3)
    guard let method = elements.withString(offset, count, { object.method($0) }) else {
      return respond(error: "tango.ref: the object has no method '\(name.prefix(40))'")
    }
    perform(method, name, arguments, makesReference: false)
  }

  // MARK: Answers

  private func respond(_ results: ResultsSender) {
    do {
      try write(true) { try results(self) }
    } catch {
      respond(failure: error)
    }
  }

  private func respond(error text: String) { respond(failure: .string(ByteString(text))) }

  private func respond(failure error: any Error) {
    if let remote = error as? TangoRemoteError {
      respond(failure: remote.value)
    } else {
      respond(error: "\(error)")
    }
  }

  private func respond(failure value: Value) {
    do {
      try write(false) { try result(value) }
    } catch let error as MemoryShortage {
      refuse("\(error) for its answer")
    } catch {
      respond(error: "tango server error: the error value could not be sent: \(error)")
    }
  }

  /// - Throws: when the results cannot be sent; then nothing was written.
  @inline(__always)
  private func write(_ status: Bool, _ body: () throws -> Void) throws {
    scratch.spare.lend(to: &writer.buffer)
    let waiting = writer.buffer.count
    let frame = LengthLineFraming.open(in: &writer.buffer)
    do {
      writer.beginTable(elements: 0, entries: 0)
      writer.beginElement(1)
      writer.boolean(status)
      nextElement = 2
      try body()
      writer.endTable()
    } catch {
      writer.breakOff()
      LengthLineFraming.drop(frame, from: &writer.buffer)
      throw error
    }
    let bytes = LengthLineFraming.close(frame, in: &writer.buffer)
    guard bytes <= configuration.limits.frameBytes else {
      let lacksMemory = writer.buffer.lacksMemory
      writer.buffer.truncate(to: waiting)
      if lacksMemory { throw MemoryShortage() }
      throw TooLong(bytes: bytes, limit: configuration.limits.frameBytes)
    }
  }
}

extension TangoServerHandler: AcceptedConnection {
  var handler: any ChannelHandler & Sendable { self }

  /// Takes no more calls, and closes when the one that runs has been answered.
  func requestShutDown() {
    eventLoop.execute {
      switch self.state {
      case .opening:
        // Nothing was called, and neither a handshake nor the program's permission need ever come.
        self.state = .ending
        self.context?.close(promise: nil)
      case .serving:
        self.state = .ending
        if self.running == nil { self.flush() }
      case .left, .ending: break
      }
    }
  }

  func abort() { eventLoop.execute { self.context?.close(promise: nil) } }
}

extension TangoServerHandler: ResultReceiver {
  func result<Result: Encodable>(_ result: Result) throws {
    do {
      try writer.element(nextElement, encoding: result)
    } catch let error as EncodingError {
      throw UnsendableResult(index: nextElement - 1, error: error)
    }
    nextElement += 1
  }
}

/// An answer that exceeds the limit.
private struct TooLong: Error, CustomStringConvertible {
  let bytes: Int
  let limit: Int
  var description: String {
    "the answer has \(bytes) bytes, more than the limit of \(limit) for a message"
  }
}
