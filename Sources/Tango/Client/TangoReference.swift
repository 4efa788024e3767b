import MilongaRPC
public import RPCRuntime

/// An object that lives on the server, as long as this one lives here. Its methods are the members:
///
/// ```swift
/// let pipe = try await con.io.popen.reference("ls")
/// let line: String? = try await pipe.read("*l")
/// ```
///
/// It belongs to the connection over which it was made, and ends with it.
@dynamicMemberLookup
public final class TangoReference: Sendable {
  /// What the server calls it.
  public let id: String
  fileprivate let client: TangoClient
  fileprivate let connection: TangoConnection
  fileprivate let timeout: Duration??

  init(id: String, client: TangoClient, connection: TangoConnection, timeout: Duration??) {
    self.id = id
    self.client = client
    self.connection = connection
    self.timeout = timeout
  }

  deinit { connection.start(PendingCall(name: "tango.ref_release"), [.string(id)]) }

  /// A method of the object.
  public subscript(dynamicMember name: String) -> Method { Method(object: self, name: name) }

  /// A method of an object, to be called.
  public struct Method: Sendable {
    let object: TangoReference
    let name: String
  }
}

extension TangoReference.Method: RPCCallable {
  public static var _sendsReferences: Bool { false }

  public func _perform<Results: Sendable>(
    _ arguments: RPCArguments, decode: @escaping @Sendable (CallResults) throws -> Results
  ) async throws -> Results {
    let path = TangoPath(client: object.client, path: "tango.ref_call", timeout: object.timeout)
    return try await path.perform(
      arguments, on: object.connection, behind: [.string(object.id), .string(name)], named: name,
      decode: decode)
  }
}
