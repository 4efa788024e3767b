// Namespaces, objects, values and their errors are the same for every protocol.
@_exported public import RPCRuntime
