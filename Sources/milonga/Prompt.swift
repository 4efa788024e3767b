import CMilongaLua
import CMilongaShims
import MilongaLua

/// The interactive prompt: reads a statement or an expression, runs it, prints what it gives.
struct Prompt {
  private let call: LuaCall
  private let reader = LineReader()

  init(_ call: LuaCall) { self.call = call }

  /// Runs until the end of the input. Errors of the statements are written and forgotten.
  func run() throws(LuaFailure) {
    call.count = 0
    while let loaded = try loadStatement() {
      let status = loaded == LUA_OK ? call.run(results: Int(LUA_MULTRET)) : loaded
      if status == LUA_OK {
        try printResults()
      } else {
        call.writeError()
      }
      call.count = 0
    }
    StandardStream.output.write("\n")
  }

  /// Reads lines until they are a statement, or can never become one.
  ///
  /// - Returns: the status of loading it, with the chunk or the error on the stack; nil at the end
  ///   of the input.
  private func loadStatement() throws(LuaFailure) -> Int32? {
    guard var source = try readLine("_PROMPT", default: "> ") else { return nil }
    if source.first == UInt8(ascii: "=") {
      source.replaceSubrange(0..<1, with: "return ".utf8)
    }
    defer { if !source.isEmpty { reader.remember(source) } }
    // An expression is the commonest case, and never a complete statement as well, but for calls:
    // their results are printed, too.
    if load("return ".utf8 + source + ";".utf8) == LUA_OK { return LUA_OK }
    call.pop()
    while true {
      let status = load(source)
      guard status == LUA_ERRSYNTAX, isIncomplete,
        let line = try readLine("_PROMPT2", default: ">> ")
      else { return status }
      call.pop()
      source += "\n".utf8 + line
    }
  }

  private func load(_ source: [UInt8]) -> Int32 {
    source.withUnsafeBytes { call.load($0, name: "=stdin") }
  }

  /// Whether the syntax error on top of the stack is that the source ends too early.
  private var isIncomplete: Bool {
    call.bytesIfString(at: -1).map { $0.suffix(5).elementsEqual("<eof>".utf8) } ?? false
  }

  /// Reads a line under the prompt that the global variable `name` holds.
  private func readLine(
    _ name: StaticString, default prompt: StaticString
  ) throws(LuaFailure) -> [UInt8]? {
    try call.pushGlobal(name)
    if call.type(at: -1) == .nil {
      call.push(prompt)
    } else {
      guard milonga_tostring(call.state, -1) == LUA_OK else { throw .raised }
    }
    defer { call.pop(2) }
    return reader.readLine(prompt: lua_tolstring(call.state, -1, nil))
  }

  /// Gives all values on the stack to Lua's `print`.
  private func printResults() throws(LuaFailure) {
    let count = call.count
    guard count > 0 else { return }
    guard call.reserve(Int(LUA_MINSTACK)) else {
      throw call.failure("stack overflow (too many results to print)")
    }
    try call.pushGlobal("print")
    call.insert(at: 1)
    guard milonga_pcall(call.state, Int32(count), 0, 0) != LUA_OK else { return }
    StandardStream.error.write("error calling 'print' (")
    call.writeError(end: ")\n")
  }
}
