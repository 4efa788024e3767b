@testable import MilongaRPC

/// One end of a conversation in tests: a session, and the bytes that it has sent and received.
final class Tango2End {
  var session: Tango2Session<Int>
  var sent: [UInt8] = []
  var received: [UInt8] = []

  init(
    _ side: Tango2Session<Int>.Side, settings: Tango2Settings = Tango2Settings(),
    originals: Int = 0
  ) {
    session = Tango2Session(side, settings: settings, originals: originals)
    var buffer = OutputBuffer()
    session.begin(&buffer)
    sent = buffer.contents
  }

  /// Two ends that have told each other their settings.
  static func pair(
    client: Tango2Settings = Tango2Settings(), server: Tango2Settings = Tango2Settings()
  ) -> (client: Tango2End, server: Tango2End) {
    let ends = (
      client: Tango2End(.client, settings: client), server: Tango2End(.server, settings: server)
    )
    ends.client.send(to: ends.server)
    ends.server.send(to: ends.client)
    _ = ends.client.next()
    _ = ends.server.next()
    return ends
  }

  /// Moves bytes that were sent to the other end: all, or so many.
  func send(to other: Tango2End, _ count: Int = .max) {
    other.received += sent.prefix(count)
    sent.removeFirst(min(count, sent.count))
  }

  func write(
    _ kind: Tango2Frame.Kind, _ flags: Tango2Frame.Flags = [], id: UInt32 = 0,
    payload: [UInt8] = []
  ) {
    var buffer = OutputBuffer()
    payload.withUnsafeBytes { payload in
      _ = Tango2Frame.append(kind, flags, id: id, payload: payload, to: &buffer)
    }
    sent += buffer.contents
  }

  /// The next event, as text that does not point into the received bytes.
  func next() -> String {
    let (text, bytes) = received.withUnsafeBytes { received in
      let (event, bytes) = session.next(in: received)
      return (Self.text(event), bytes)
    }
    received.removeFirst(bytes)
    return text
  }

  private static func text(_ event: Tango2Session<Int>.Event) -> String {
    func text(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }
    func items(_ items: Tango2Items) -> String { items.map(text).joined(separator: ",") }
    return switch event {
    case .incomplete: "incomplete"
    case .original: "original"
    case .nothing: "nothing"
    case .dropped(let message): "dropped \(text(message))"
    case .droppedItems(let list): "dropped items \(items(list))"
    case .settings: "settings"
    case .call(let id, let call):
      "call \(id) \(text(call.message))\(call.hasStream ? " stream" : "")"
        + (call.deadline.map { " deadline \($0)" } ?? "")
        + (call.reference.map { " reference \($0)" } ?? "")
        + (call.within.map { " within \($0)" } ?? "")
    case .refused(let id, let refusal): "refused \(id): \(refusal)"
    case .cancelled(let id): "cancelled \(id)"
    case .result(let caller, let message): "result of \(caller): \(text(message))"
    case .error(let caller, let reason, let mayRetry, let message):
      "error of \(caller): \(reason) \(text(message))\(mayRetry ? " (may retry)" : "")"
    case .stream(let id, let caller, let message): "stream \(id) of \(caller): \(text(message))"
    case .items(let caller, let id, let list, let bytes):
      "items \(id) of \(caller): \(items(list)) (\(bytes))"
    case .end(let caller): "end of \(caller)"
    case .argumentItems(let id, let list, let bytes):
      "argument items \(id): \(items(list)) (\(bytes))"
    case .argumentEnd(let id, let error):
      "argument end \(id)" + (error.map { " failed \(text($0))" } ?? "")
    case .argumentsUnwanted(let id): "arguments unwanted \(id)"
    case .credit(let id): "credit \(id)"
    case .release(let payload): "release \(payload.count)"
    case .ping(let payload): "ping \(text(payload))"
    case .pong(let payload): "pong \(text(payload))"
    case .goaway(let reason): "goaway \(text(reason))"
    case .violation(let violation): "violation: \(violation)"
    }
  }
}

/// A number as 4 bytes.
func fourBytes(_ number: UInt32) -> [UInt8] { withUnsafeBytes(of: number.bigEndian, Array.init) }

/// Items of a stream as a payload.
func items(_ texts: String...) -> [UInt8] {
  texts.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
}

/// One item as a payload of so many bytes.
func item(_ payloadBytes: Int) -> [UInt8] {
  for lengthBytes in 1...4 {
    var buffer = OutputBuffer()
    Tango2Items.append(length: payloadBytes - lengthBytes, to: &buffer)
    if buffer.count == lengthBytes {
      return buffer.contents + [UInt8](repeating: 0, count: payloadBytes - lengthBytes)
    }
  }
  return []
}
