/// What receives the elements of a message.
///
/// A tango message is a table: `{"name", argument...}` calls, `{true, result...}` answers. The
/// table itself is never built: its elements arrive one by one, each as a value and then a call
/// that says which element it was.
public protocol MessageSink: ValueSink, ~Copyable {
  /// The value just added is element `index` of the message, 1 being the first.
  ///
  /// Indexes may come out of order or leave holes (which are nil), because a peer may write
  /// `{"f",[4]=3}`. When one comes twice the later value counts.
  mutating func endMessageElement(at index: Int)

  /// The value just added is no element of the message: drop it.
  mutating func discardMessageEntry()
}
