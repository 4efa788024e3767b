/// What a call frame says besides its id.
public struct Tango2Call {
  /// Milliseconds that were left when the caller sent the call; nil for no deadline.
  public let deadline: UInt32?

  /// Names and values; empty when there are none. They lie in the received bytes.
  public let metadata: Tango2Metadata

  /// The function or object of this end that is called; nil when the message's path says it. The
  /// message begins with the name of a method then, or with nil.
  public let reference: UInt32?

  /// The call of this end within which this one is made; nil when there is none. It waits neither
  /// for a limit nor for other calls, because that call waits for it.
  public let within: UInt32?

  /// The message: the path, and the arguments. It lies in the received bytes.
  public let message: UnsafeRawBufferPointer

  /// One more argument is a stream, whose items are to follow.
  public let hasStream: Bool

  /// A call without options.
  @inlinable
  init(message: UnsafeRawBufferPointer) {
    (deadline, metadata, reference, within) = (nil, Tango2Metadata(), nil, nil)
    self.message = message
    hasStream = false
  }

  /// Takes a call's payload apart.
  @usableFromInline
  init(
    _ flags: Tango2Frame.Flags, _ payload: UnsafeRawBufferPointer
  ) throws(Tango2Violation) {
    hasStream = flags.contains(.stream)
    var rest = payload[...]
    deadline = flags.contains(.deadline) ? try Self.take(UInt32.self, &rest) : nil
    if flags.contains(.metadata) {
      let bytes = Int(try Self.take(UInt16.self, &rest))
      guard rest.count >= bytes,
        let metadata = Tango2Metadata(UnsafeRawBufferPointer(rebasing: rest.prefix(bytes)))
      else { throw .malformed(.call) }
      self.metadata = metadata
      rest = rest.dropFirst(bytes)
    } else {
      metadata = Tango2Metadata()
    }
    reference = flags.contains(.reference) ? try Self.take(UInt32.self, &rest) : nil
    within = flags.contains(.within) ? try Self.take(UInt32.self, &rest) : nil
    message = UnsafeRawBufferPointer(rebasing: rest)
  }

  private static func take<Number: FixedWidthInteger>(
    _: Number.Type, _ rest: inout Slice<UnsafeRawBufferPointer>
  ) throws(Tango2Violation) -> Number {
    let bytes = MemoryLayout<Number>.size
    guard rest.count >= bytes else { throw .malformed(.call) }
    let number = UnsafeRawBufferPointer(rebasing: rest).loadUnaligned(as: Number.self)
    rest = rest.dropFirst(bytes)
    return Number(bigEndian: number)
  }

  /// Appends what comes in front of a call's message.
  ///
  /// - Parameters:
  ///   - deadline: milliseconds that are left (``milliseconds(_:)``); nil for no deadline.
  ///   - metadata: names of up to 255 bytes and values of up to 65,535 bytes.
  ///   - metadataLimit: how many bytes of metadata the other end accepts (``Tango2Settings``);
  ///     65,535 at most count.
  ///   - reference: what is called; nil when the message's path says it.
  ///   - within: the id of the served call within which this one is made; nil when there is none.
  /// - Returns: the flags that say so, to be completed by ``Tango2Frame/Flags/stream``.
  public static func appendOptions(
    deadline: UInt32? = nil, metadata: [(name: [UInt8], value: [UInt8])] = [],
    metadataLimit: UInt32 = UInt32(UInt16.max), reference: UInt32? = nil, within: UInt32? = nil,
    to buffer: inout OutputBuffer
  ) throws(Tango2MetadataError) -> Tango2Frame.Flags {
    let bytes = try Tango2Metadata.bytes(of: metadata, limit: metadataLimit)
    var flags: Tango2Frame.Flags = []
    if let deadline {
      flags.insert(.deadline)
      buffer.append(bigEndian: deadline)
    }
    if !metadata.isEmpty {
      flags.insert(.metadata)
      buffer.append(bigEndian: UInt16(bytes))
      Tango2Metadata.append(metadata, to: &buffer)
    }
    if let reference {
      flags.insert(.reference)
      buffer.append(bigEndian: reference)
    }
    if let within {
      flags.insert(.within)
      buffer.append(bigEndian: within)
    }
    return flags
  }

  /// A time that is left, in seconds, as a deadline: 0 when it has passed, and at most 2^32 - 1 ms,
  /// which are 49 days. Parts of a millisecond count as a whole one.
  public static func milliseconds(_ seconds: Double) -> UInt32 {
    let milliseconds = (seconds * 1000).rounded(.up)
    // Not-a-number is no time.
    return milliseconds > 0 ? UInt32(min(milliseconds, Double(UInt32.max))) : 0
  }
}
