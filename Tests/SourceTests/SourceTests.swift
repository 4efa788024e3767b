import Foundation
import Testing

/// Rules about the sources that no compiler checks.
@Suite("Sources")
struct SourceTests {
  /// Calls of Lua's functions that may leave by longjmp, which must not cross a Swift frame;
  /// `CShims` has protected ones instead. Functions that can only run out of memory, and
  /// `lua_concat` of strings, are allowed: under a Swift frame allocations that fail are served,
  /// and reported later.
  private static func jumps() throws -> Regex<AnyRegexOutput> {
    let names = [
      "lua_error", "luaL_error", "luaL_argerror", "luaL_typeerror", "luaL_argcheck",
      "luaL_argexpected", "luaL_check\\w+", "luaL_opt\\w+", "lua_yieldk?", "lua_callk?",
      "lua_pcallk?", "lua_resume", "lua_gettable", "lua_settable", "lua_getfield", "lua_setfield",
      "lua_geti", "lua_seti", "lua_getglobal", "lua_setglobal", "lua_compare", "lua_arith",
      "lua_len", "luaL_len", "luaL_tolstring", "luaL_callmeta", "luaL_getsubtable",
      "luaL_requiref", "lua_toclose", "lua_closeslot", "lua_load", "luaL_load\\w+", "luaL_do\\w+",
    ]
    return try Regex("\\b(?:\(names.joined(separator: "|")))\\b").wordBoundaryKind(.simple)
  }

  /// Calls of Lua's functions that follow whatever pointer they find: `CShims/milonga_tables.h` has
  /// such that look first. Who uses these has looked, in the same function.
  private static func unchecked() throws -> Regex<AnyRegexOutput> {
    let names = [
      "lua_raw[gs]et[ip]?", "lua_next", "lua_setmetatable", "lua_[gs]etiuservalue", "lua_concat",
      "luaL_ref", "luaL_unref", "LUA_REGISTRYINDEX", "LUA_RIDX_\\w+",
    ]
    return try Regex("\\b(?:\(names.joined(separator: "|")))\\b").wordBoundaryKind(.simple)
  }

  private static let looksItself = [
    "CopasWrapper.swift", "LuaGraphSink.swift", "LuaGraphSource.swift", "LuaNamespaceCursor.swift",
    "LuaStackSink.swift", "LuaStackSource.swift", "RPCPeer+Serving.swift",
  ]

  private static func foundation() throws -> Regex<AnyRegexOutput> {
    try Regex("^\\s*([@\\w]+ +)*import +(\\w+ +)?Foundation").wordBoundaryKind(.simple)
  }

  @Test func `no Swift code calls what may longjmp`() throws {
    let jumps = try Self.jumps()
    for line in try swiftLines() where line.code.contains(jumps) {
      Issue.record("\(line): \(line.code.trimmingCharacters(in: .whitespaces))")
    }
  }

  @Test func `what a script may have changed is looked at`() throws {
    let unchecked = try Self.unchecked()
    for line in try swiftLines() where line.code.contains(unchecked) {
      if Self.looksItself.contains(where: { line.file.hasSuffix("/" + $0) }) { continue }
      Issue.record("\(line): \(line.code.trimmingCharacters(in: .whitespaces))")
    }
  }

  /// Loading it would take most of the time that a short script needs to start.
  @Test func `nothing imports Foundation`() throws {
    let foundation = try Self.foundation()
    for line in try swiftLines() where line.code.contains(foundation) {
      Issue.record("\(line): imports Foundation")
    }
  }

  /// A file is about one thing, and a function is seen at once.
  @Test func `files and functions are short`() throws {
    let lines = Dictionary(grouping: try swiftLines(), by: \.file)
    for (file, lines) in lines.sorted(by: { $0.key < $1.key }) {
      if lines.count > 451 { Issue.record("\(file): \(lines.count - 1) lines, of at most 450") }
      for function in functions(in: lines) where function.lines > 60 {
        Issue.record("\(function.first): \(function.lines) lines, of at most 60")
      }
    }
  }

  @Test func `the rules see what they are for`() throws {
    #expect(Set(try swiftLines().map(\.file)).count > 80)
    let jumps = try Self.jumps()
    #expect("    guard lua_pcallk(state, 0, 0, 0) == 0 else {".contains(jumps))
    #expect("luaL_checkinteger(state, 1)".contains(jumps))
    #expect(!"milonga_gettable(state, 1); lua_rawgeti(state, 1, 2)".contains(jumps))
    let unchecked = try Self.unchecked()
    #expect("lua_rawgeti(state, 1, 2)".contains(unchecked))
    #expect("lua_rawset(state, 1)".contains(unchecked))
    #expect(!"milonga_rawget(state, 1)".contains(unchecked))
    let foundation = try Self.foundation()
    #expect("import Foundation".contains(foundation))
    #expect("@preconcurrency import Foundation".contains(foundation))
    #expect("import class Foundation.Pipe".contains(foundation))
    let text = ["  func f(", "    a: Int", "  ) {", "    g()", "  }", "  var a: Int"]
    let long = functions(
      in: text.enumerated().map { SourceLine(file: "", number: $0.offset + 1, text: $0.element) })
    #expect(long.map(\.lines) == [5])
    #expect(SourceLine(file: "", number: 1, text: "a // lua_error").code == "a ")
    #expect(SourceLine(file: "", number: 1, text: "\"//\" + b").code == "\"//\" + b")
  }
}

/// A function that takes more than one line.
private struct LongFunction {
  let first: SourceLine
  let lines: Int
}

/// The functions in the lines of a file, formatted as swift-format does: a function ends at the
/// next line with a brace that stands as far left as its first line.
private func functions(in lines: [SourceLine]) -> [LongFunction] {
  lines.indices.compactMap { index in
    let text = lines[index].text
    guard ["func ", "init", "subscript("].contains(where: text.contains) else { return nil }
    let code = lines[index].code
    let words = code.split { !$0.isLetter && $0 != "`" }
    guard words.contains(where: { ["func", "init", "deinit", "subscript"].contains($0) }),
      words.first.map({ !["return", "let", "var", "self", "super"].contains($0) }) ?? false
    else { return nil }
    let end = code.prefix { $0 == " " } + "}"
    guard !code.hasSuffix("}"),
      let last = lines[(index + 1)...].first(where: { $0.text.hasPrefix(end) })
    else { return nil }
    // A declaration without a body ends before the next one, or before the end of what it stands
    // in.
    let inner = lines[(index + 1)..<(last.number - 1)]
    let isWhole = inner.allSatisfy {
      $0.text.isEmpty || $0.text.hasPrefix(end.dropLast() + " ")
        || $0.text.hasPrefix(end.dropLast() + ")")
    }
    guard isWhole else { return nil }
    return LongFunction(first: lines[index], lines: last.number - index)
  }
}

private struct SourceLine: CustomStringConvertible {
  let file: String
  let number: Int
  let text: String

  var description: String { "\(file):\(number)" }

  /// The line without its comment.
  var code: String {
    var inString = false
    var previous: Character?
    var code = ""
    for character in text {
      if character == "\"", previous != "\\" { inString.toggle() }
      if character == "/", previous == "/", !inString { return String(code.dropLast()) }
      code.append(character)
      previous = character
    }
    return code
  }
}

/// All lines of Swift in the folder `Sources`.
private func swiftLines() throws -> [SourceLine] {
  let package = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  let sources = package.appendingPathComponent("Sources").path
  let files = try FileManager.default.subpathsOfDirectory(atPath: sources)
    .filter { $0.hasSuffix(".swift") }.sorted()
  return try files.flatMap { file in
    try String(contentsOfFile: sources + "/" + file, encoding: .utf8)
      .split(separator: "\n", omittingEmptySubsequences: false).enumerated()
      .map { SourceLine(file: "Sources/" + file, number: $0.offset + 1, text: String($0.element)) }
  }
}
