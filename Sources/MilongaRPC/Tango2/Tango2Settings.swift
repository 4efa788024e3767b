/// What one end accepts. Each end tells the other with its first frame.
///
/// Payload: any number of entries, each a name (1 byte) and a value (4 bytes, big endian). An end
/// passes over names that it does not know, and takes the defaults for what is not named.
///
/// Together they bound what the other end can make this one hold: calls, each with a message of at
/// most ``frameBytes``; for each stream, and each call with a stream among its arguments,
/// ``window`` bytes, or two frames of ``itemBytes`` if that is more.
public struct Tango2Settings: Sendable, Hashable {
  /// Calls of the other end that may run at a time. With 0 this end takes no calls at all.
  public var calls: UInt32 = 256

  /// The longest payload, in bytes; at least ``leastFrameBytes``.
  public var frameBytes: UInt32 = 16 << 20

  /// Bytes of metadata that a call may have.
  public var metadataBytes: UInt32 = 16 << 10

  /// Streams that may arrive at a time.
  public var streams: UInt32 = 64

  /// The other end's calls are to be carried out one after the other, but for those within others.
  /// Only what a client says counts.
  public var isOrdered = false

  /// Calls within others that may run at a time.
  public var callsWithin: UInt32 = 1024

  /// The longest payload of a frame of items, in bytes.
  public var itemBytes: UInt32 = 1 << 20

  /// Credit that a stream which arrives begins with; at least ``Tango2Stream/leastWindow``.
  public var window = Tango2Stream.leastWindow

  /// The codec of messages. Both ends must have the same.
  public var codec: UInt8 = Codec.messagePack

  /// Numbers of codecs.
  public enum Codec {
    public static let messagePack: UInt8 = 1
    public static let tangoText: UInt8 = 2
    public static let json: UInt8 = 3
    /// The program's own.
    public static let other: UInt8 = 255
  }

  /// Every end takes payloads of so many bytes, so that errors and reasons find their way.
  public static let leastFrameBytes: UInt32 = 1024

  /// The defaults.
  public init() {}

  enum Name: UInt8 {
    case calls = 1
    case frameBytes = 2
    case metadataBytes = 3
    case streams = 4
    case ordered = 5
    case callsWithin = 6
    case itemBytes = 7
    case window = 8
    case codec = 9
  }

  static let entryBytes = 5

  static func name(ofCodec codec: UInt8) -> String {
    switch codec {
    case Codec.messagePack: "MessagePack"
    case Codec.tangoText: "tango's text"
    case Codec.json: "JSON"
    case Codec.other: "a codec of the program"
    default: "codec \(codec)"
    }
  }

  /// Appends the settings frame.
  public func append(to buffer: inout OutputBuffer) {
    let frame = Tango2Frame.open(in: &buffer)
    buffer.append(Name.calls.rawValue, calls)
    buffer.append(Name.frameBytes.rawValue, frameBytes)
    buffer.append(Name.metadataBytes.rawValue, metadataBytes)
    buffer.append(Name.streams.rawValue, streams)
    if isOrdered { buffer.append(Name.ordered.rawValue, UInt32(1)) }
    buffer.append(Name.callsWithin.rawValue, callsWithin)
    buffer.append(Name.itemBytes.rawValue, itemBytes)
    buffer.append(Name.window.rawValue, window)
    buffer.append(Name.codec.rawValue, UInt32(codec))
    Tango2Frame.close(frame, .settings, in: &buffer)
  }

  /// Reads a payload.
  init(_ payload: UnsafeRawBufferPointer) throws(Tango2Violation) {
    guard payload.count.isMultiple(of: Self.entryBytes) else { throw .malformed(.settings) }
    for place in stride(from: 0, to: payload.count, by: Self.entryBytes) {
      let value = UInt32(
        bigEndian: payload.loadUnaligned(fromByteOffset: place + 1, as: UInt32.self))
      switch Name(rawValue: payload[place]) {
      case .calls: calls = value
      case .frameBytes: frameBytes = value
      case .metadataBytes: metadataBytes = value
      case .streams: streams = value
      case .ordered: isOrdered = value != 0
      case .callsWithin: callsWithin = value
      case .itemBytes: itemBytes = value
      case .window: window = value
      case .codec:
        guard let value = UInt8(exactly: value) else { throw .malformed(.settings) }
        codec = value
      case nil: break
      }
    }
    guard frameBytes >= Self.leastFrameBytes, window >= Tango2Stream.leastWindow else {
      throw .malformed(.settings)
    }
  }
}
