import NIOCore
public import RPC

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
  private let client: TangoClient
  private let connection: TangoConnection
  private let timeout: Duration??

  init(id: String, client: TangoClient, connection: TangoConnection, timeout: Duration??) {
    self.id = id
    self.client = client
    self.connection = connection
    self.timeout = timeout
  }

  deinit {
    let release = ReleaseCall()
    connection.start(release, deadline: nil) { [id] writer in try writer.element(2, id) }
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
      try await object.perform(
        name,
        { (writer) throws in
          var index = 4
          for argument in repeat each arguments {
            try writer.element(index, argument)
            index += 1
          }
        }
      ) { $0.value(at: 1) }
    }

    /// Calls, and gives the first result as the type asked for.
    public func callAsFunction<each Argument: Encodable & Sendable, Result: Decodable & Sendable>(
      _ arguments: repeat each Argument
    ) async throws -> Result {
      try await object.perform(
        name,
        { (writer) throws in
          var index = 4
          for argument in repeat each arguments {
            try writer.element(index, argument)
            index += 1
          }
        }
      ) { [name] in
        do {
          return try $0.decode(Result.self, at: 1)
        } catch let error as TangoTypeError {
          throw TangoError.unexpectedResult(path: name, index: 1, error: error)
        }
      }
    }
  }

  private func perform<Results: Sendable>(
    _ name: String, _ write: (inout TangoTextWriter) throws -> Void,
    _ decode: @escaping (MessageElements) throws -> Results
  ) async throws -> Results {
    try await TangoPath(client: client, path: "tango.ref_call", timeout: timeout).perform(
      on: connection,
      { (writer) throws in
        try writer.element(2, id)
        try writer.element(3, name)
        try write(&writer)
      }, decode)
  }
}

/// Nobody waits for the answer.
private final class ReleaseCall: PendingCall, @unchecked Sendable {
  init() { super.init(path: "tango.ref_release") }
  override func answer(_ elements: MessageElements) {}
  override func fail(_ error: any Error) {}
}
