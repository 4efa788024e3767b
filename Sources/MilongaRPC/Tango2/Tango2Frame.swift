/// The frames of tango/2, the wire that two ends of Milonga agree on. `Docs/wire.md` describes it.
///
/// A frame is a kind (1 byte), flags (1 byte), the length of the payload (4 bytes), the id of a
/// call (4 bytes) and the payload; numbers are big endian. A kind is never a digit, so that the
/// first byte tells a frame from one of the original's wire, which begins with its length in
/// decimal digits.
public enum Tango2Frame {
  /// Bytes in front of a payload.
  public static let headerBytes = 10

  /// The longest payload of a ping.
  public static let pingBytes = 64

  /// What a frame is. Those of calls have the call's id, the others id 0.
  public enum Kind: UInt8, Sendable, CaseIterable {
    /// Calls a function. Payload: the fields that the flags announce, then the message.
    case call = 0x43  // C
    /// A call's results.
    case result = 0x52  // R
    /// A call has failed; its flags say why (``Tango2Refusal``). Payload: the error value.
    case error = 0x45  // E
    /// From the caller: it does not want the call's answer any more. From the callee: it does not
    /// want more of the argument that is a stream.
    case cancel = 0x58  // X
    /// Items of a stream. Payload: the messages, each behind its length (``Tango2Items``).
    case items = 0x49  // I
    /// The stream has no more items. Payload: none, or with the flag ``Flags/failed`` the error
    /// value.
    case end = 0x44  // D
    /// The other end may send more of a stream. Payload: a number of bytes (4 bytes).
    case credit = 0x57  // W
    /// References are not needed any more. Payload: pairs of a reference and how often it had come
    /// (4 bytes each).
    case release = 0x46  // F
    /// Is to be answered with a pong of the same payload.
    case ping = 0x50  // P
    case pong = 0x51  // Q
    /// No new calls are taken. Payload: the id of the last call that was (4 bytes), and the reason,
    /// as text.
    case goaway = 0x47  // G
    /// What the sender of the frame accepts (``Tango2Settings``); its first frame, and sent once.
    case settings = 0x53  // S

    /// Whether the frame belongs to a call.
    @inlinable
    public var hasID: Bool {
      switch self {
      case .call, .result, .error, .cancel, .items, .end, .credit: true
      case .release, .ping, .pong, .goaway, .settings: false
      }
    }

    /// The flags that a frame of this kind may have.
    @inlinable
    var knownFlags: Flags {
      switch self {
      case .call: [.deadline, .metadata, .stream, .reference, .within]
      case .result: .stream
      case .error: .reason
      case .end: .failed
      default: []
      }
    }
  }

  /// What a frame's second byte says.
  public struct Flags: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8

    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Of a call: the payload begins with the milliseconds that are left (4 bytes).
    public static let deadline = Flags(rawValue: 1)
    /// Of a call: metadata follow (``Tango2Metadata``).
    public static let metadata = Flags(rawValue: 2)
    /// Of a call: one more argument, behind those of the message, is a stream, whose items follow
    /// in frames. Of a result: one more value is.
    public static let stream = Flags(rawValue: 4)
    /// Of a call: the number of a reference of the callee (4 bytes), which is called.
    public static let reference = Flags(rawValue: 8)
    /// Of a call: the id of the callee's call (4 bytes) within which it is made.
    public static let within = Flags(rawValue: 16)
    /// Of an end: the stream of an argument has ended with an error.
    public static let failed = Flags(rawValue: 1)
    /// Of an error: the bits of ``Tango2Refusal``.
    public static let reason = Flags(rawValue: 3)
  }

  /// A frame that has come.
  public struct Header: Sendable, Hashable {
    public let kind: Kind
    public let flags: Flags
    public let id: UInt32
    public let payloadBytes: Int

    @inlinable
    init(kind: Kind, flags: Flags, id: UInt32, payloadBytes: Int) {
      self.kind = kind
      self.flags = flags
      self.id = id
      self.payloadBytes = payloadBytes
    }
  }

  /// What lies at the start of the bytes received so far.
  public enum Result: Sendable, Hashable {
    /// No whole frame yet; at least `needed` more bytes must come.
    case incomplete(needed: Int)
    case frame(Header)
    /// A frame of a kind that this version does not know, and may pass over: so many bytes.
    case unknown(bytes: Int)
    /// A frame of the original's wire begins here.
    case original
    /// No frame can start like this: the connection is lost.
    case invalid(Tango2Violation)
  }

  /// Looks for a frame at the start of `bytes`. A bad header is refused before its payload has
  /// come.
  @inlinable
  public static func next(
    in bytes: UnsafeRawBufferPointer, maxBytes: Int, maxItemBytes: Int = .max
  ) -> Result {
    guard let first = bytes.first else { return .incomplete(needed: headerBytes) }
    if isDigit(first) { return .original }
    guard bytes.count >= headerBytes else {
      return .incomplete(needed: headerBytes - bytes.count)
    }
    let size = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt32.self)))
    guard size <= maxBytes else { return .invalid(.tooLong(bytes: size, limit: maxBytes)) }
    let whole = headerBytes + size
    guard let kind = Kind(rawValue: first) else {
      guard isOptional(first) else { return .invalid(.unknownKind(first)) }
      return bytes.count < whole
        ? .incomplete(needed: whole - bytes.count) : .unknown(bytes: whole)
    }
    let flags = Flags(rawValue: bytes[1])
    let id = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 6, as: UInt32.self))
    if kind == .items, size > maxItemBytes {
      return .invalid(.tooLong(bytes: size, limit: maxItemBytes))
    }
    guard kind.knownFlags.isSuperset(of: flags) else { return .invalid(.unknownFlags(kind, flags)) }
    guard kind.hasID == (id != 0) else { return .invalid(.badID(kind, id)) }
    guard bytes.count >= whole else { return .incomplete(needed: whole - bytes.count) }
    return .frame(Header(kind: kind, flags: flags, id: id, payloadBytes: size))
  }

  /// Kinds that are small letters may be passed over.
  @inlinable
  static func isOptional(_ kind: UInt8) -> Bool {
    UInt8(ascii: "a")...UInt8(ascii: "z") ~= kind
  }

  // MARK: Writing

  /// A frame that is being written.
  public struct OpenFrame: Sendable {
    /// How many bytes wait in front of it.
    @usableFromInline let waiting: Int

    @inlinable init(waiting: Int) { self.waiting = waiting }
  }

  /// Starts a frame at the end of `buffer`; what is appended next is its payload. Until it is
  /// closed or dropped, nothing may be removed from the buffer.
  @inlinable
  public static func open(in buffer: inout OutputBuffer) -> OpenFrame {
    let frame = OpenFrame(waiting: buffer.count)
    buffer.appendUninitialized(headerBytes)
    return frame
  }

  /// The size of the payload so far.
  @inlinable
  public static func payloadBytes(of frame: OpenFrame, in buffer: borrowing OutputBuffer) -> Int {
    buffer.count - frame.waiting - headerBytes
  }

  /// Completes the frame; not when the buffer lacks memory: it is to be dropped then.
  @inlinable
  public static func close(
    _ frame: OpenFrame, _ kind: Kind, _ flags: Flags = [], id: UInt32 = 0,
    in buffer: inout OutputBuffer
  ) {
    if buffer.lacksMemory { return }
    let size = UInt32(truncatingIfNeeded: payloadBytes(of: frame, in: buffer))
    buffer.withUnsafeMutableBytes { bytes in
      let header = bytes.baseAddress.unsafelyUnwrapped + frame.waiting
      header.storeBytes(of: kind.rawValue, as: UInt8.self)
      header.storeBytes(of: flags.rawValue, toByteOffset: 1, as: UInt8.self)
      header.storeBytes(of: size.bigEndian, toByteOffset: 2, as: UInt32.self)
      header.storeBytes(of: id.bigEndian, toByteOffset: 6, as: UInt32.self)
    }
  }

  /// Appends a goaway frame; see ``Tango2Session/drain()``.
  @discardableResult
  public static func appendGoaway(
    lastTaken: UInt32, reason: String, to buffer: inout OutputBuffer
  ) -> Bool {
    var reason = reason
    return reason.withUTF8 { reason in
      let frame = open(in: &buffer)
      buffer.append(bigEndian: lastTaken)
      // Every end accepts so many bytes.
      buffer.append(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(reason).prefix(1000)))
      guard !buffer.lacksMemory else {
        drop(frame, from: &buffer)
        return false
      }
      close(frame, .goaway, in: &buffer)
      return true
    }
  }

  /// Removes the frame, and what was appended to it.
  @inlinable
  public static func drop(_ frame: OpenFrame, from buffer: inout OutputBuffer) {
    buffer.truncate(to: frame.waiting)
  }

  /// Appends a frame without a payload, or with these bytes as its payload.
  ///
  /// - Returns: false, with nothing appended, when there is no memory for it. The connection cannot
  ///   go on then, because the session has reckoned with the frame.
  @inlinable
  @discardableResult
  public static func append(
    _ kind: Kind, _ flags: Flags = [], id: UInt32 = 0,
    payload: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
    to buffer: inout OutputBuffer
  ) -> Bool {
    let frame = open(in: &buffer)
    buffer.append(payload)
    guard !buffer.lacksMemory else {
      drop(frame, from: &buffer)
      return false
    }
    close(frame, kind, flags, id: id, in: &buffer)
    return true
  }
}

/// Why a call ended with an error frame.
public enum Tango2Refusal: UInt8, Sendable, CaseIterable {
  /// The function raised the error value.
  case raised = 0
  /// The function was not called; the call may be made again, here or elsewhere.
  case notCalled = 1
  /// The function was ended, because its caller had cancelled the call.
  case cancelled = 2
  /// The function was ended, because the deadline had passed.
  case deadline = 3

  /// The flags of an error frame that says so.
  @inlinable public var flags: Tango2Frame.Flags { Tango2Frame.Flags(rawValue: rawValue) }
}
