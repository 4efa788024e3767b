import MilongaLua

/// What happens to a function that waits when the peer that has called it leaves.
package enum OnDisconnect: String, Sendable, CaseIterable {
  /// It runs to its end, and its answer is dropped.
  case finish
  /// It is ended where it waits; its to-be-closed variables run.
  case cancel
  /// It is answered, for peers that end only their own direction; the connection stays until then.
  case answer
}

extension ConfigurationTable {
  /// The field `on_disconnect`.
  ///
  /// - Parameter choices: the values that make sense.
  package func onDisconnect(
    _ choices: [OnDisconnect] = OnDisconnect.allCases
  ) throws(LuaFailure) -> OnDisconnect {
    guard push("on_disconnect") else { return .finish }
    let text = call.type(at: -1) == .string ? call.stringIfString(at: -1) : nil
    let got = text.map { "'\($0.prefix(40))'" } ?? call.typeName(at: -1)
    call.pop()
    guard let choice = text.flatMap({ OnDisconnect(rawValue: $0) }), choices.contains(choice) else {
      var words = choices.map { "'\($0.rawValue)'" }
      let last = words.removeLast()
      throw wrong(
        "on_disconnect", "\(words.joined(separator: ", ")) or \(last), not \(got)")
    }
    return choice
  }
}
