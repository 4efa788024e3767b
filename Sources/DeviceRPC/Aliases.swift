public import MilongaRPC
public import Tango

/// What a peer offers: functions, variables, and tables of them. The same namespace can be served to tango
/// clients, too.
///
/// Functions that do not wait run on the connection's event loop. Each call of an async one is a task of its own, so
/// that a call holds none behind it up, and a function can call the peer that has called it
/// (``RPCPeer/current``). Variables are read by `eval`.
public typealias RPCNamespace = TangoNamespace

/// An object that is handed out by reference; see ``RPCShared``.
public typealias RPCObject = TangoObject

/// The methods of an ``RPCObject``.
public typealias RPCMethods = TangoMethods

/// What travels in a message: nil, booleans, integers, floats, strings of any bytes, tables.
public typealias RPCValue = Value

/// The error that a called function raised. A served function that throws one raises its value in the caller.
public typealias RPCRemoteError = TangoRemoteError
