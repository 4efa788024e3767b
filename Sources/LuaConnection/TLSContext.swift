import CMilongaLua
import CMilongaShims
import MilongaLua

/// A context of LuaSec, made of a program's `sslparams`. TLS connections are made from it.
package final class TLSContext {
  /// LuaSec's context, and its function `wrap`.
  private let context: LuaStored
  private let wrap: LuaStored
  /// Peers without a valid certificate are refused.
  package let requiresCertificate: Bool

  /// Makes the context of the field `sslparams`: a table as LuaSec takes it, or a context of
  /// LuaSec.
  ///
  /// - Parameter mode: what the table's field `mode` is when it has none: "client" or "server".
  /// - Returns: nil when there is no such field.
  package static func make(
    _ table: ConfigurationTable, mode: StaticString
  ) throws(LuaFailure) -> TLSContext? {
    guard table.push("sslparams") else { return nil }
    let call = table.call
    let bottom = call.count
    guard [.table, .userdata].contains(call.type(at: bottom)) else {
      throw table.wrong("sslparams", "a table, or a context of LuaSec")
    }
    milonga_pushglobaltable(call.state)
    call.pushField("require", of: -1)
    call.push("ssl")
    guard milonga_pcall(call.state, 1, 1, 0) == LUA_OK, call.type(at: -1) == .table else {
      let reason = call.stringIfString(at: -1) ?? "?"
      throw call.failure(
        "\(table.module): 'sslparams' needs LuaSec (Debian's package lua-sec): \(reason)")
    }
    let ssl = call.count
    let requiresCertificate = try makeContext(table, ssl: ssl, parameters: bottom, mode)
    call.pushField("wrap", of: ssl)
    let tls = TLSContext(call, requiresCertificate: requiresCertificate)
    call.count = bottom - 1
    return tls
  }

  /// Pops the function `wrap` and the context.
  private init(_ call: LuaCall, requiresCertificate: Bool) {
    wrap = LuaStored(popping: call)
    context = LuaStored(popping: call)
    self.requiresCertificate = requiresCertificate
  }

  /// Pushes the context; whether it asks for certificates.
  private static func makeContext(
    _ table: ConfigurationTable, ssl: Int, parameters: Int, _ mode: StaticString
  ) throws(LuaFailure) -> Bool {
    let call = table.call
    guard call.type(at: parameters) == .table else {
      call.pushValue(at: parameters)
      return false
    }
    call.pushField("newcontext", of: ssl)
    // A copy: the program's table is not changed.
    call.pushTable()
    let copy = call.count
    call.push(mode)
    call.setField("mode", of: copy)
    call.pushNil()
    while milonga_next(call.state, Int32(parameters)) != 0 {
      call.pushValue(at: -2)
      call.insert(at: -2)
      milonga_rawset(call.state, Int32(copy))
    }
    let requiresCertificate =
      lists(call, copy, "verify", "peer") && lists(call, copy, "verify", "fail_if_no_peer_cert")
    let succeeded = milonga_pcall(call.state, 1, 2, 0) == LUA_OK
    guard succeeded, call.boolean(at: -2) else {
      let reason = call.stringIfString(at: -1) ?? "?"
      throw call.failure("\(table.module): bad configuration: 'sslparams': \(reason)")
    }
    call.pop()
    return requiresCertificate
  }

  /// Whether a field is this word, or a table of words with it.
  private static func lists(
    _ call: LuaCall, _ table: Int, _ field: StaticString, _ word: String
  ) -> Bool {
    let top = call.count
    defer { call.count = top }
    call.pushField(field, of: table)
    if call.type(at: -1) == .string { return call.stringIfString(at: -1) == word }
    guard call.type(at: -1) == .table else { return false }
    call.pushNil()
    while milonga_next(call.state, Int32(top + 1)) != 0 {
      if call.type(at: -1) == .string, call.stringIfString(at: -1) == word { return true }
      call.pop()
    }
    return false
  }

  /// Pushes a connection of LuaSec over the descriptor of the LuaSocket object at `socket`, which
  /// loses it; or the reason why that failed, and false.
  func pushConnection(_ call: LuaCall, socket: Int) -> Bool {
    wrap.push(onto: call)
    call.pushValue(at: socket)
    context.push(onto: call)
    guard milonga_pcall(call.state, 2, 2, 0) == LUA_OK else { return false }
    if call.boolean(at: -2) {
      call.pop()
      return true
    }
    call.remove(at: -2)
    return false
  }
}
