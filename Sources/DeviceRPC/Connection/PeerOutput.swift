import MilongaRPC
import RPCRuntime

/// Messages on their way out, and the objects of this side that they name. Belongs to its
/// connection's lock.
final class PeerOutput {
  private var writer = LuatobinWriter()
  private let limits: RPCLimits
  /// Values of the message that is being written, those without a number not counted.
  private var count = 0
  /// Objects by their ids, which count from 1.
  private var objects: [any RPCObject] = []
  private var ids: [ObjectIdentifier: UInt32] = [:]

  init(limits: RPCLimits) { self.limits = limits }

  // MARK: Messages

  /// Bytes that wait.
  var bytes: Int { writer.buffer.count }

  /// Gives `body` what waits, and forgets it.
  func take<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
    defer {
      writer.buffer.removeFirst(writer.buffer.count)
      writer.buffer.shrink(keeping: 64 << 10)
    }
    return writer.buffer.withUnsafeBytes(body)
  }

  /// The connection has ended.
  ///
  /// - Returns: the objects. They have to be released without the lock, because that may run code
  ///   of the program.
  func release() -> [any RPCObject] {
    defer {
      writer.buffer.release()
      objects = []
      ids = [:]
    }
    return objects
  }

  /// Writes a message. It leaves nothing when `write` fails, or the message is too long.
  ///
  /// - Parameters:
  ///   - what: what the values are called, such as "argument".
  ///   - sequence: gives its number; nil when there is none, and then `keep` gets the payload.
  func message(
    _ kind: LuaRPCFraming.Kind, values what: StaticString, sequence: () -> UInt8?,
    keep: ([UInt8]) -> Void = { _ in }, _ write: (PeerOutput) throws -> Void
  ) throws {
    let message = LuaRPCFraming.open(in: &writer.buffer)
    count = 0
    do {
      try write(self)
      if writer.buffer.lacksMemory { throw MemoryShortage() }
      let size = LuaRPCFraming.payloadBytes(of: message, in: writer.buffer)
      guard size <= limits.frameBytes else {
        count = 0
        throw Unsendable(
          description: "the message has \(size) bytes, more than limits.frameBytes "
            + "(\(limits.frameBytes))")
      }
      if let sequence = sequence() {
        LuaRPCFraming.close(message, kind, sequence: sequence, in: &writer.buffer)
      } else {
        keep(writer.buffer.withUnsafeBytes { Array($0.suffix(size)) })
        LuaRPCFraming.drop(message, from: &writer.buffer)
      }
    } catch {
      LuaRPCFraming.drop(message, from: &writer.buffer)
      guard count > 0 else { throw error }
      throw Unsendable(description: "\(what) #\(count): \(error)")
    }
  }

  /// Writes a message whose payload was kept; false, with nothing written, when there is no memory
  /// for it.
  func message(_ kind: LuaRPCFraming.Kind, sequence: UInt8, payload: [UInt8]) -> Bool {
    let message = LuaRPCFraming.open(in: &writer.buffer)
    payload.withUnsafeBytes { writer.buffer.append($0) }
    guard !writer.buffer.lacksMemory else {
      LuaRPCFraming.drop(message, from: &writer.buffer)
      return false
    }
    LuaRPCFraming.close(message, kind, sequence: sequence, in: &writer.buffer)
    return true
  }

  // MARK: Values

  func status(_ status: LuaRPCStatus) { writer.buffer.append(status.rawValue) }

  func function(_ function: LuaRPCFunction) { text(function.name) }

  func text(_ text: StaticString) {
    writer.beginTopLevelValue()
    text.withUTF8Buffer { writer.string(UnsafeRawBufferPointer($0)) }
  }

  /// The name of what is called.
  func name(_ name: String) throws {
    guard name.utf8.count <= Luatobin.largestSize else {
      throw LuatobinRefusal.string(bytes: name.utf8.count)
    }
    text(name)
  }

  /// The text of an error: the start of it, if it is long.
  func text(_ text: String) {
    var text = text
    writer.beginTopLevelValue()
    text.withUTF8 {
      writer.string(
        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer($0).prefix(Luatobin.largestSize)))
    }
  }

  func integer(_ value: Int) {
    writer.beginTopLevelValue()
    writer.integer(Int64(value))
  }

  private func id(of object: any RPCObject) throws -> UInt32 {
    if let known = ids[ObjectIdentifier(object)] { return known }
    guard objects.count < limits.references else {
      throw Unsendable(
        description: "the connection holds \(objects.count) objects already (limits.references)")
    }
    objects.append(object)
    let id = UInt32(objects.count)
    ids[ObjectIdentifier(object)] = id
    return id
  }

  /// The object of this side that the other side means.
  func object(_ id: UInt32) -> (any RPCObject)? {
    1...UInt32.max ~= id && id <= objects.count ? objects[Int(id) - 1] : nil
  }

  /// Writes arguments or results.
  func values(_ values: [EncodedValue]) throws {
    for value in values {
      count += 1
      try self.value(value)
    }
  }

  private func value(_ value: EncodedValue) throws {
    switch value {
    case .string(var text):
      writer.beginTopLevelValue()
      text.withUTF8 { writer.string(UnsafeRawBufferPointer($0)) }
      if let refusal = writer.refusal { throw refusal }
    case .value(let tree):
      writer.beginTopLevelValue()
      tree.write(to: &writer)
      if let refusal = writer.refusal {
        throw Unsendable(description: "\(refusal.place(in: tree))\(refusal)")
      }
    case .object(let object): writer.taggedID(PeerObject.ofSender, try id(of: object))
    case .reference(let reference): try self.reference(reference)
    }
  }

  /// An object of the other side.
  func reference(_ reference: any AnyObject & Sendable) throws {
    guard let reference = reference as? RPCReference,
      reference.peer.connection.output === self
    else {
      throw Unsendable(description: "an object of another connection cannot be sent on this one")
    }
    writer.taggedID(PeerObject.ofReceiver, reference.id)
  }
}

/// Why something cannot be sent.
struct Unsendable: Error, CustomStringConvertible {
  let description: String
}

extension LuatobinRefusal {
  /// Where in a tree the refused value is, as `at .samples[3]: `; empty when it is the tree itself.
  fileprivate func place(in tree: RPCValue) -> String {
    guard let path = path(in: tree), !path.isEmpty else { return "" }
    return "at \(path): "
  }

  private func path(in value: RPCValue) -> String? {
    switch (self, value) {
    case (.integer(let refused), .integer(let integer)): return refused == integer ? "" : nil
    case (.string(let bytes), .string(let string)): return bytes == string.bytes.count ? "" : nil
    case (_, .table(let table)):
      if case .table(let pairs) = self, pairs == table.elements.count + table.entries.count {
        return ""
      }
      for (offset, element) in table.elements.enumerated() {
        if let path = path(in: element) { return "[\(offset + 1)]\(path)" }
      }
      for entry in table.entries {
        if path(in: entry.key) != nil { return "a key" }
        guard let path = path(in: entry.value) else { continue }
        if case .string(let name) = entry.key { return ".\(name)\(path)" }
        return "[\(entry.key)]\(path)"
      }
      return nil
    default: return nil
    }
  }
}
