/// A function or an object of one of the two ends, as it travels in a message: an extension of
/// MessagePack with the type 1 and 5 bytes, which are a kind and a number.
///
/// The *owner* is the end that has the function. It numbers what it gives out, for this connection.
/// A reference that comes back to its owner is the value itself.
public struct Tango2Reference: Sendable, Hashable {
  /// The type of MessagePack's extension.
  public static let extensionType: UInt8 = 1
  /// How many bytes the extension has.
  public static let extensionBytes = 5

  /// What a reference stands for.
  public enum Kind: UInt8, Sendable {
    /// Is called.
    case function = 0x66  // f
    /// Has methods and fields.
    case object = 0x6F  // o
  }

  /// What it stands for.
  public let kind: Kind
  /// Whether the end that receives the message is the owner; otherwise the end that sends it is.
  public let isReceivers: Bool
  /// Which one of the owner's; never 0.
  public let number: UInt32

  public init(_ kind: Kind, isReceivers: Bool, number: UInt32) {
    self.kind = kind
    self.isReceivers = isReceivers
    self.number = number
  }

  /// The kind as a byte: a small letter is the sender's, a capital letter the receiver's.
  @usableFromInline
  var kindByte: UInt8 { isReceivers ? kind.rawValue ^ 0x20 : kind.rawValue }

  /// nil when there is no such kind, or the number is 0.
  @usableFromInline
  init?(kindByte: UInt8, number: UInt32) {
    guard let kind = Kind(rawValue: kindByte | 0x20), number != 0 else { return nil }
    self.init(kind, isReceivers: kindByte & 0x20 == 0, number: number)
  }

  /// The sentence for a value that would need a reference, where the codec of the connection has
  /// none.
  public static func refusal(of what: String) -> String {
    "\(what) cannot be sent: only MessagePack, the usual codec of tango/2, carries references"
  }

  /// The numbers of the sender's references in a message of MessagePack that is dropped unread, so
  /// that they can be released. A number comes as often as it is in the message.
  public static func numbers(
    in message: UnsafeRawBufferPointer, limits: CodecLimits = CodecLimits()
  ) -> [UInt32] {
    var collector = Collector()
    // What is in front of malformed bytes was given out all the same.
    try? MessagePack.readMessage(message, limits: limits, into: &collector)
    return collector.numbers
  }

  private struct Collector: MessageSink {
    var numbers: [UInt32] = []
    var takesReferences: Bool { true }

    mutating func reference(_ reference: Tango2Reference) {
      if !reference.isReceivers { numbers.append(reference.number) }
    }

    mutating func null() {}
    mutating func boolean(_ value: Bool) {}
    mutating func integer(_ value: Int64) {}
    mutating func number(_ value: Double) {}
    mutating func string(_ bytes: UnsafeRawBufferPointer) {}
    mutating func beginTable(elements: Int, entries: Int) {}
    mutating func endTable() {}
    mutating func endMessageElement(at index: Int) {}
    mutating func discardMessageEntry() {}
  }
}
