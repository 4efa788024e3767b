/// Connects to a tango server: the original's, Milonga's in Lua, or a ``TangoServer``.
///
/// ```swift
/// let con = try await Tango.connect(host: "localhost", port: 12345)
/// let root: Double = try await con.math.sqrt(4)
/// ```
///
/// - Throws: ``TangoError/connectFailed(peer:reason:)``.
public func connect(
  host: String = "localhost", port: Int = 12345,
  configuration: TangoClient.Configuration = .init()
) async throws -> TangoClient {
  let client = TangoClient(host: host, port: port, configuration: configuration)
  _ = try await client.connection()
  return client
}
