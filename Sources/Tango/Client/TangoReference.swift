public import MilongaRPC

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

  deinit {
    let release = ReleaseCall()
    connection.start(release, deadline: nil, [.string(id)])
  }

  /// A method of the object.
  public subscript(dynamicMember name: String) -> Method { Method(object: self, name: name) }

  /// A method of an object, to be called.
  public struct Method: Sendable {
    let object: TangoReference
    let name: String

    /// Calls, and gives the first result as it came.
    @discardableResult
    public func callAsFunction<each Argument: Encodable & Sendable>(
      _ arguments: repeat each Argument
    ) async throws -> TangoValue {
      try await perform(call.encoded(repeat each arguments)) {
        $0.value(at: 1)
      }
    }

    /// Calls, and gives the first result as the type asked for.
    @_disfavoredOverload
    public func callAsFunction<each Argument: Encodable & Sendable, Result: Decodable & Sendable>(
      _ arguments: repeat each Argument
    ) async throws -> Result {
      try await perform(call.encoded(repeat each arguments)) { [name] in
        try $0.result(Result.self, at: 1, name)
      }
    }

    private var call: TangoPath {
      TangoPath(client: object.client, path: "tango.ref_call", timeout: object.timeout)
    }

    private func perform<Results: Sendable>(
      _ arguments: [EncodedValue], decode: @escaping (MessageElements) throws -> Results
    ) async throws -> Results {
      try await call.perform(
        on: object.connection, with: [.string(object.id), .string(name)] + arguments,
        decode: decode)
    }
  }
}

/// Nobody waits for the answer.
private final class ReleaseCall: PendingCall, @unchecked Sendable {
  init() { super.init(path: "tango.ref_release") }
  override func answer(_ elements: MessageElements) {}
  override func fail(_ error: any Error) {}
}
