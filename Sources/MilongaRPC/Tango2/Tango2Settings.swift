/// What one end accepts. Each end tells the other with its first frame.
///
/// Payload: any number of entries, each a name (1 byte) and a value (4 bytes, big endian). An end
/// passes over names that it does not know, and takes the defaults for what is not named.
public struct Tango2Settings: Sendable, Hashable {
  /// Calls of the other end that may run at a time. One more is refused, and not carried out.
  public var calls: UInt32 = 256

  /// The longest payload, in bytes.
  public var frameBytes: UInt32 = 16 << 20

  /// Bytes of metadata that a call may have.
  public var metadataBytes: UInt32 = 16 << 10

  /// Streams that may arrive at a time. One more is cancelled.
  public var streams: UInt32 = 64

  /// The other end's calls are to be carried out one after the other. Only what a client says
  /// counts.
  public var isOrdered = false

  /// The defaults.
  public init() {}

  enum Name: UInt8 {
    case calls = 1
    case frameBytes = 2
    case metadataBytes = 3
    case streams = 4
    case ordered = 5
  }

  static let entryBytes = 5

  /// Appends the settings frame.
  public func append(to buffer: inout OutputBuffer) {
    let frame = Tango2Frame.open(in: &buffer)
    buffer.append(Name.calls.rawValue, calls)
    buffer.append(Name.frameBytes.rawValue, frameBytes)
    buffer.append(Name.metadataBytes.rawValue, metadataBytes)
    buffer.append(Name.streams.rawValue, streams)
    if isOrdered { buffer.append(Name.ordered.rawValue, UInt32(1)) }
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
      case nil: break
      }
    }
  }
}
