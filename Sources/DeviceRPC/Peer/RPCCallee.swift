import NIOCore
import RPCRuntime
import Tracing

/// What is called on which peer, and how long that may take.
struct RPCCallee: Sendable {
  enum Target: Sendable {
    case path(String)
    case evaluation(String)
    case scriptSource
    case script(Int)
    case method(String, of: RPCReference)
  }

  let peer: RPCPeer
  let target: Target
  var timeout: Duration?? = nil

  /// For errors.
  var name: String {
    switch target {
    case .path(let path): path
    case .evaluation(let path): "eval '\(path)'"
    case .scriptSource: "newexec"
    case .script(let number): "script \(number)"
    case .method(let name, _): name
    }
  }

  /// Writes what comes before the arguments.
  private func writeTarget(_ output: PeerOutput) throws {
    switch target {
    case .path(let path): try output.name(path)
    case .evaluation(let path):
      output.function(.evaluate)
      try output.name(path)
    case .scriptSource: output.function(.build)
    case .script(let number):
      output.function(.run)
      output.integer(number)
    case .method(let name, let object):
      output.function(.invoke)
      try output.reference(object)
      try output.name(name)
    }
  }

  // MARK: Calling

  func perform<Results: Sendable>(
    _ arguments: RPCArguments, decode: @escaping @Sendable (CallResults) throws -> Results
  ) async throws -> Results {
    do {
      let arguments = try arguments.values
      guard let tracer = peer.connection.settings.tracer else {
        return try await exchange(arguments, decode: decode)
      }
      return try await tracer.withSpan(name, ofKind: .client) { span in
        let address = peer.address
        span.attributes["server.address"] = address?.ipAddress
        span.attributes["server.port"] = address?.port
        return try await exchange(arguments, decode: decode)
      }
    } catch let failure as CallFailure {
      throw error(failure)
    }
  }

  private func error(_ failure: CallFailure) -> RPCError {
    switch failure {
    case .unsendable(let argument, let error):
      .unsendable(path: name, reason: "argument #\(argument): \(error)")
    case .unexpectedResult(let index, let error):
      .unexpectedResult(path: name, index: index, error: error)
    case .timedOut: .timedOut(path: name, seconds: (patience ?? .zero) / .seconds(1))
    }
  }

  /// How long the call may take; nil for no limit.
  private var patience: Duration? { timeout ?? peer.connection.settings.callTimeout }

  @inline(__always)
  private func exchange<Results: Sendable>(
    _ arguments: [EncodedValue], decode: @escaping @Sendable (CallResults) throws -> Results
  ) async throws -> Results {
    let connection = peer.connection
    let deadline = patience.map {
      Int64((NIODeadline.now() + TimeAmount($0)).uptimeNanoseconds)
    }
    let call = TypedCall(name: name, deadline: deadline ?? .max, decode: decode)
    return try await withTaskCancellationHandler {
      try await withUnsafeThrowingContinuation { continuation in
        call.continuation = continuation
        connection.start(call) { output in
          try writeTarget(output)
          try output.values(arguments)
        }
      }
    } onCancel: {
      connection.cancel(call)
    }
  }
}
