/// What this module is called.
public let nameRPC = "RPC"
