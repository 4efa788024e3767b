/// Decides what a call is about: a function, a variable, or a remote object.
public enum PathResolver {
  /// What to do for a call.
  public enum Action: Sendable, Hashable {
    /// Call the function at the cursor with the arguments.
    case call

    /// Answer with the value at the cursor.
    case read

    /// Store the first argument where the cursor is.
    case write

    /// `tango.ref_create(path, ...)`: keep what the call of `path` returns, answer with its id.
    case createReference

    /// `tango.ref_call(id, name, ...)`: call a method of a kept object.
    case callReference

    /// `tango.ref_release(id)`: forget a kept object.
    case releaseReference
  }

  /// Follows `path` with `cursor` and says what the call asks for.
  ///
  /// The rules are those of the original's tango/dispatcher.lua. Its functions for remote objects
  /// are not part of the namespace here: they are recognised first, and hide those of the same
  /// name.
  ///
  /// - Parameters:
  ///   - path: The first element of the message.
  ///   - cursor: At the root of the namespace; afterwards where the path leads.
  ///   - hasNewValue: Whether the call has a first argument that is not nil, which makes it a write
  ///     if the path leads to a variable. (For the original, false does not count either.)
  ///   - access: What peers may do with variables.
  /// - Throws: ``DispatchError``, whose text is the answer.
  @inlinable
  public static func resolve<Cursor: NamespaceCursor & ~Copyable>(
    _ path: UnsafeRawBufferPointer, cursor: inout Cursor, hasNewValue: Bool, access: Access
  ) throws(DispatchError) -> Action {
    var names = DispatchPath(path)
    guard var name = names.next() else { throw DispatchError(.noSuchVariable, path) }
    if name.isEqual(to: "tango"), let action = Action(names) { return action }
    while true {
      guard cursor.descend(name) else { throw DispatchError(.noSuchVariable, path) }
      guard let next = names.next() else { break }
      name = next
    }
    if cursor.isCallable { return .call }
    if hasNewValue {
      guard access.contains(.write) else { throw DispatchError(.noWriteAccess, path) }
      return .write
    }
    guard access.contains(.read) else { throw DispatchError(.noReadAccess, path) }
    return .read
  }
}

extension PathResolver.Action {
  /// The action for what follows `tango` in a path, or nil if it is an ordinary path.
  @usableFromInline
  init?(_ names: DispatchPath) {
    var names = names
    guard let name = names.next(), names.next() == nil else { return nil }
    if name.isEqual(to: "ref_call") {
      self = .callReference
    } else if name.isEqual(to: "ref_create") {
      self = .createReference
    } else if name.isEqual(to: "ref_release") {
      self = .releaseReference
    } else {
      return nil
    }
  }
}
