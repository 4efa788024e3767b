import Lua

/// What becomes of a function that waits when the peer that has called it leaves.
public enum OnDisconnect: String, Sendable, CaseIterable {
  /// It runs to its end, and its answer is dropped.
  case finish
  /// It is ended where it waits; its to-be-closed variables run.
  case cancel
  /// It is answered, for peers that end only their own direction; the connection stays until then.
  case answer
}

extension ConfigurationTable {
  /// The field `on_disconnect`.
  public func onDisconnect() throws(LuaFailure) -> OnDisconnect {
    guard push("on_disconnect") else { return .finish }
    let text = call.type(at: -1) == .string ? call.stringIfString(at: -1) : nil
    let got = text.map { "'\($0.prefix(40))'" } ?? call.typeName(at: -1)
    call.pop()
    guard let choice = text.flatMap({ OnDisconnect(rawValue: $0) }) else {
      throw wrong("on_disconnect", "'finish', 'cancel' or 'answer', not \(got)")
    }
    return choice
  }
}
