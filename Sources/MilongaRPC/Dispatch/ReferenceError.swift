/// Why no remote object was created.
public enum ReferenceError: Error, Sendable, Hashable {
  /// The connection holds as many as it may.
  case tooMany(limit: Int)
}

extension ReferenceError: CustomStringConvertible {
  /// One sentence for the peer.
  public var description: String {
    switch self {
    case .tooMany(let limit):
      "tango.ref refused: the connection holds \(limit) references already (limit: references)"
    }
  }
}
