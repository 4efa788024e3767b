import LuaSocket
import MilongaLua
import Testing

/// A script cannot take more memory by way of `mime` than it may have.
@Suite("MIME and the memory limit")
struct MIMEMemoryTests {
  private func lua() throws -> LuaState {
    let lua = try LuaState(memoryLimit: 4 << 20)
    #expect(lua.call.pushPreloadTable())
    lua.call.setFunction("mime.core") { (call) throws(LuaFailure) in
      MIMEModule.open(call)
      return .results(1)
    }
    lua.call.pop()
    try lua.run("mime = require 'mime.core'")
    return lua
  }

  /// A megabyte of line ends would become a terabyte, which is never allocated.
  @Test func `markers cannot multiply beyond the limit`() throws {
    let lua = try lua()
    for code in [
      "return tostring(select(2, pcall(mime.eol, 0, ('\\n'):rep(1 << 20), ('x'):rep(1 << 20))))",
      "return tostring(select(2, pcall(mime.qp, ('\\r\\n'):rep(1 << 19), nil, ('x'):rep(1 << 20))))",
    ] {
      #expect(try lua.evaluate(code, as: String.self) == "not enough memory")
      lua.collectGarbage()
      #expect(lua.memoryInUse < 1 << 20)
    }
  }

  @Test func `a result that does not fit is an error, and the state goes on`() throws {
    let lua = try lua()
    try lua.run("text = ('x'):rep(1 << 20) text = text .. text")
    let code = "return tostring(select(2, pcall(mime.b64, text)))"
    #expect(try lua.evaluate(code, as: String.self) == "not enough memory")
    #expect(try lua.evaluate("text = nil; return mime.b64('abc')", as: String.self) == "YWJj")
  }
}
