import CMilongaTurns
import MilongaRPC
import NIOCore
import RPCRuntime

/// Bytes of answers that may wait for the peer to read them before its next call is taken.
let mostUnsent = 64 << 10

// The calls of the peer, and what they are about.
extension TangoServerHandler {
  /// Carries out calls until one has to wait, or there are no more.
  func process() {
    defer { elements.letGo() }
    while state.isReady {
      if writer.buffer.count > mostUnsent {
        flush()
        guard state.takesCalls, state.hasLeft || context?.channel.isWritable == true else {
          return
        }
      }
      var isOver = false
      do {
        let isWaiting = try reader.takeFrames { body in
          guard take(body) else { return .putBack }
          isOver = milonga_turn_is_over(turnEnd) != 0
          return !isOver && state.isReady && writer.buffer.count <= mostUnsent ? .goOn : .stop
        }
        if isWaiting {
          if state.hasLeft, !state.isBusy { release() }
          return
        }
        if isOver, state.isReady { return giveWay() }
      } catch {
        disconnect("\(error)")
      }
    }
    // Answers do not wait for the functions. They leave out here, because writing may come back
    // with more to read.
    if state.isBusy { flush() }
  }

  /// - Returns: false when the call has to wait for those that are under way.
  @inline(__always)
  private func take(_ body: UnsafeRawBufferPointer) -> Bool {
    let last = running.last
    if state.isBusy {
      guard carryOutBehindOthers(body) else { return false }
    } else {
      carryOut(body)
    }
    if body.count > BufferKeeper.largeMessage, running.last > last {
      running.noteSize(body.count)
      isHolding = true
    }
    return true
  }

  @inline(__always)
  func carryOut(_ body: UnsafeRawBufferPointer) {
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
  }

  /// - Parameter place: the element that is the path.
  private func dispatch(_ place: Int, makesReference: Bool) {
    if let function = server.namespace.function(at: place, of: elements) {
      return perform(function, place, makesReference: makesReference)
    }
    guard case .string(let offset, let count) = elements[place] else {
      return respond(
        error: "tango server error: the request does not begin with the name of a function")
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

  func keep(_ object: any RPCObject) {
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
}
