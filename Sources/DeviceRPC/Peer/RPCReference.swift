import MilongaRPC
public import RPCRuntime

/// Stands for an object that lives on the other side. Its methods are the members:
///
/// ```swift
/// let pump: RPCReference = try await peer.require("pump")
/// try await pump.start(3)
/// ```
///
/// Methods called `id` or `peer` are reached by ``subscript(path:)``. As an argument by itself it
/// is that object again. The protocol cannot release an object: it lives on the other side until
/// the connection ends.
@dynamicMemberLookup
public final class RPCReference: Sendable {
  /// Its number on the connection.
  public let id: UInt32
  /// Where it lives.
  public let peer: RPCPeer

  init(id: UInt32, peer: RPCPeer) {
    self.id = id
    self.peer = peer
  }

  /// A method of the object.
  public subscript(dynamicMember name: String) -> RPCMethod { self[path: name] }

  /// The same for names that are no identifiers of Swift.
  public subscript(path name: String) -> RPCMethod {
    RPCMethod(callee: RPCCallee(peer: peer, target: .method(name, of: self)))
  }
}

/// A method of an object of the other side.
public struct RPCMethod: Sendable {
  let callee: RPCCallee
}

extension RPCMethod: RPCCallable {
  public static var _sendsReferences: Bool { true }

  public func _perform<Results: Sendable>(
    _ arguments: RPCArguments, decode: @escaping @Sendable (CallResults) throws -> Results
  ) async throws -> Results {
    try await callee.perform(arguments, decode: decode)
  }
}

extension RPCReference: Equatable {
  public static func == (a: RPCReference, b: RPCReference) -> Bool {
    a.id == b.id && a.peer === b.peer
  }
}

extension RPCReference: SentByReference {
  package var encodedReference: EncodedValue { .reference(self) }
}

/// An object of this program that goes to the other side by reference, as an argument or as a
/// result:
///
/// ```swift
/// try await peer.subscribe(RPCShared(listener))      // the device calls listener's methods
/// api.register("find") { (name: String) in RPCShared(sensors[name]) }
/// api.register("join") { (first: RPCShared<Sensor>, second: RPCShared<Sensor>) in ... }
/// ```
///
/// The connection keeps the object until it ends.
public struct RPCShared<Object: RPCObject>: Sendable {
  public let object: Object

  public init(_ object: Object) { self.object = object }
}

extension RPCShared: SentByReference {
  package var encodedReference: EncodedValue { .object(object) }
}

extension RPCShared: ReceivedByReference {
  package init?(object: any AnyObject & Sendable) {
    guard let object = object as? Object else { return nil }
    self.object = object
  }
}

extension RPCReference: Codable {
  /// Fails: a reference can only be an argument or a result by itself.
  public convenience init(from decoder: any Decoder) throws { throw noReference(in: decoder) }

  /// Fails, as above.
  public func encode(to encoder: any Encoder) throws { throw referenceInside(self, encoder) }
}

extension RPCShared: Codable {
  /// Fails: a reference can only be an argument or a result by itself.
  public init(from decoder: any Decoder) throws { throw noReference(in: decoder) }

  /// Fails, as above.
  public func encode(to encoder: any Encoder) throws { throw referenceInside(self, encoder) }
}

private func noReference(in decoder: any Decoder) -> DecodingError {
  .dataCorrupted(
    .init(
      codingPath: decoder.codingPath, debugDescription: "expected an object, got a value"))
}

private func referenceInside(_ value: Any, _ encoder: any Encoder) -> Unsendable {
  let place = encoder.codingPath.map(\.stringValue).joined(separator: ".")
  return Unsendable(
    description: "an object goes by reference only as an argument or a result by itself, not inside"
      + (place.isEmpty ? " of a table" : " of a table, at '\(place)'"))
}
