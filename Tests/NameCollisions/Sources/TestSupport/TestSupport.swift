/// What this module is called.
public let nameTestSupport = "TestSupport"
