import NIOCore
public import RPCRuntime
import Tracing

/// A function, a variable or a table of a server, by its path.
///
/// Calling it sends the arguments and awaits the results. Anything `Encodable` is an argument:
/// structs travel as tables with string keys, arrays as tables of elements. Results have the types
/// that the context asks for.
///
/// All calls throw ``TangoRemoteError`` (the function's error), ``TangoError`` (what happened to
/// the call) or `CancellationError`.
@dynamicMemberLookup
public struct TangoPath: Sendable {
  let client: TangoClient
  let path: String
  var timeout: Duration?? = nil

  /// A server's functions, with a timeout of their own.
  @dynamicMemberLookup
  public struct Root: Sendable {
    let client: TangoClient
    let timeout: Duration?

    public subscript(dynamicMember name: String) -> TangoPath { self[path: name] }

    public subscript(path path: String) -> TangoPath {
      TangoPath(client: client, path: path, timeout: .some(timeout))
    }
  }

  /// What is inside of the table of this path.
  public subscript(dynamicMember name: String) -> TangoPath { self[path: name] }

  /// The same for names that are no identifiers of Swift.
  public subscript(path path: String) -> TangoPath {
    TangoPath(client: client, path: "\(self.path).\(path)", timeout: timeout)
  }

  /// Calls a function that returns an object, and keeps the object on the server: see
  /// ``TangoReference``.
  public func reference<each Argument: Encodable & Sendable>(
    _ arguments: repeat each Argument
  ) async throws -> TangoReference {
    let creation = TangoPath(client: client, path: "tango.ref_create", timeout: timeout)
    let connection = try await client.connection(within: patience)
    let arguments = RPCArguments(repeat each arguments, byReference: false)
    let id = try await creation.perform(
      arguments, on: connection, behind: [.string(path)], named: path
    ) { try $0.decode(String.self, at: 1) }
    return TangoReference(id: id, client: client, connection: connection, timeout: timeout)
  }
}

extension TangoPath: RPCCallable {
  public static var _sendsReferences: Bool { false }

  public func _perform<Results: Sendable>(
    _ arguments: RPCArguments, decode: @escaping @Sendable (CallResults) throws -> Results
  ) async throws -> Results {
    try await perform(arguments, decode: decode)
  }

  /// - Parameters:
  ///   - connection: nil for any.
  ///   - others: come in front of the arguments.
  ///   - name: what has the results, when the path does not tell.
  @inline(__always)
  func perform<Results: Sendable>(
    _ arguments: RPCArguments, on connection: TangoConnection? = nil,
    behind others: [EncodedValue] = [], named name: String? = nil,
    decode: @escaping @Sendable (CallResults) throws -> Results
  ) async throws -> Results {
    do {
      let arguments = try others.isEmpty ? arguments.values : others + arguments.values
      guard let tracer = client.tracer else {
        return try await exchange(arguments, on: connection, decode: decode)
      }
      return try await tracer.withSpan(path, ofKind: .client) { span in
        span.attributes["server.address"] = client.host
        span.attributes["server.port"] = client.port
        return try await exchange(arguments, on: connection, decode: decode)
      }
    } catch let failure as CallFailure {
      throw error(failure, name)
    }
  }

  private func error(_ failure: CallFailure, _ name: String?) -> TangoError {
    switch failure {
    case .unsendable(_, let error): .unsendable(path: path, reason: "\(error)")
    case .unexpectedResult(let index, let error):
      .unexpectedResult(path: name ?? path, index: index, error: error)
    case .timedOut: .timedOut(path: path, seconds: (patience ?? .zero) / .seconds(1))
    }
  }

  /// How long a call may take; nil for no limit.
  private var patience: Duration? { timeout ?? client.configuration.timeout }

  @inline(__always)
  private func exchange<Results: Sendable>(
    _ arguments: [EncodedValue], on connection: TangoConnection?,
    decode: @escaping @Sendable (CallResults) throws -> Results
  ) async throws -> Results {
    let patience = patience
    let deadline = patience.map {
      Int64((NIODeadline.now() + TimeAmount($0)).uptimeNanoseconds)
    }
    let call = TypedCall(name: path, deadline: deadline ?? .max, decode: decode)
    let connection =
      if let connection = connection ?? client.openConnection { connection } else {
        try await client.connection(within: patience)
      }
    return try await withTaskCancellationHandler {
      try await withUnsafeThrowingContinuation { continuation in
        call.continuation = continuation
        connection.start(call, arguments)
      }
    } onCancel: {
      connection.cancel(call)
    }
  }
}
