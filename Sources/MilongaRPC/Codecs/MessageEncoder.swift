/// A sink that writes messages of one format into a buffer: what ``TangoTextWriter``,
/// ``MessagePackWriter`` and ``JSONWriter`` have in common.
///
/// A message is a list: the name of a function and arguments, or a status and results. Start it
/// with ``beginMessage(elements:)``; then come, for each element, ``ValueSink/beginElement(_:)``,
/// the value and ``ValueSink/endElement(_:)``; and ``endMessage()``.
public protocol MessageEncoder: ValueSink, ~Copyable {
  /// Where the bytes go.
  var buffer: OutputBuffer { get set }

  /// A writer that appends to `buffer`.
  init(buffer: consuming OutputBuffer)

  /// A message of so many elements starts.
  mutating func beginMessage(elements: Int)

  /// The message is complete.
  mutating func endMessage()

  /// Forgets a value that was broken off. What was written of it is the caller's to remove.
  mutating func breakOff()

  /// What the format has no place for among the values since the last ``breakOff()``, as a phrase
  /// such as "a key that is a boolean"; nil when there was nothing of the sort.
  var refusal: StaticString? { get }
}

extension TangoTextWriter: MessageEncoder {
  /// Starts the message's table.
  @inlinable
  public mutating func beginMessage(elements: Int) { beginTable(elements: 0, entries: 0) }

  /// Ends the message's table.
  @inlinable public mutating func endMessage() { endTable() }

  /// Nothing is ever refused.
  @inlinable public var refusal: StaticString? { nil }
}

/// What a sink wants to know of a table before its contents.
public enum TableShape: Sendable {
  /// Nothing: the counts may be 0.
  case none

  /// How many elements and entries will come, exactly. Elements are the values of 1, 2, 3, ... up
  /// to the first nil.
  case counted

  /// The same, but when all keys are positive integers all values are elements, with nil for those
  /// that are not there; unless most are not there, which makes them entries.
  case listed
}
