import Testing

/// Tango as Lua programs see it: each script starts the servers and clients it needs.
@Suite("tango")
struct TangoScriptTests {
  @Test(arguments: ScriptRun.all)
  func script(_ run: ScriptRun) throws { try run.check() }
}
