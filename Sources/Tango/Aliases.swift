public import MilongaRPC
@_exported public import RPCRuntime

/// What travels in a message: nil, booleans, integers, floats, strings of any bytes, tables.
public typealias TangoValue = RPCValue

/// What a server offers: functions, variables, and tables of them.
public typealias TangoNamespace = RPCNamespace

/// A variable that a server shares with its peers.
public typealias TangoVariable = RPCVariable

/// An object that a server hands out by reference.
public typealias TangoObject = RPCObject

/// The methods of a ``TangoObject``.
public typealias TangoMethods = RPCMethods

/// The error that a called function raised, or the server's reason not to call it.
public typealias TangoRemoteError = RPCRemoteError

/// A call whose arguments do not suit the function.
public typealias TangoArgumentError = RPCArgumentError

/// A value that has another type than was asked for.
public typealias TangoTypeError = RPCTypeError

/// A type that says by itself what it is on the wire, for types that `Codable` does not describe
/// well.
public protocol TangoConvertible: RPCConvertible {
  /// - Throws: any error; the call fails with it.
  init(tangoValue: TangoValue) throws

  /// The value as it travels.
  var tangoValue: TangoValue { get throws }
}

extension TangoConvertible {
  public init(rpcValue: RPCValue) throws { try self.init(tangoValue: rpcValue) }
  public var rpcValue: RPCValue { get throws { try tangoValue } }
}

extension Value: TangoConvertible {
  public init(tangoValue: TangoValue) { self = tangoValue }
  public var tangoValue: TangoValue { self }
}

extension ByteString: TangoConvertible {
  public init(tangoValue: TangoValue) throws { try self.init(rpcValue: tangoValue) }
  public var tangoValue: TangoValue { rpcValue }
}
