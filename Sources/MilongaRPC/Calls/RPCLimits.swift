/// What one connection may cost, with defaults that suit a server on a network.
public struct RPCLimits: Sendable, Hashable {
  /// Longest body of a frame, in bytes; 16 MiB unless told otherwise.
  public var frameBytes = LengthLineFraming.defaultMaxBytes

  /// How deep tables may be nested; see ``CodecLimits/depth``.
  public var depth = CodecLimits().depth

  /// How many values a message may have in all; see ``CodecLimits/values``.
  public var values = CodecLimits().values

  /// How many arguments a call may have, or an answer results; see
  /// ``CodecLimits/messageElements``, which counts the name or status in front of them too.
  public var arguments = CodecLimits().messageElements - 1

  /// How many remote objects a connection may hold at a time; 10,000 unless told otherwise.
  public var references = 10_000

  /// How many calls of a client may await their answers; 65,536 unless told otherwise.
  public var callsInFlight = 65_536

  /// What all peers together may make the process hold, in bytes: messages received and not yet
  /// served, and answers not yet read; 256 MiB unless told otherwise. One peer's share is a quarter
  /// of it, and at least a whole message.
  ///
  /// There is one account for the process. Beyond this limit the peers that hold the most are not
  /// read. When that does not help within 2 s, or cannot help, the peer that holds the most is
  /// disconnected, with one line in the log.
  public var maxBufferedBytes = BufferAccount.defaultLimit

  /// The default limits.
  public init() {}

  /// The part a codec needs.
  public var codec: CodecLimits {
    CodecLimits(depth: depth, values: values, messageElements: arguments + 1)
  }
}
