/// What this module is called.
public let nameIO = "IO"
