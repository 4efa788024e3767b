import CMilongaLua
import CMilongaShims
import MilongaLua

#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

/// The source text of a Lua function, for a peer that may run another version of Lua.
///
/// The function's debug information says where it is. The text is compiled, and its bytecode is
/// compared with the function's: the file may have changed.
enum LuaFunctionText {
  /// Why there is no text.
  enum Failure: Error {
    case cFunction
    case upvalues([String])
    /// The source is not there any more, or was never kept.
    case noSource(String)
  }

  /// A chunk that does what the function at `index` does when it is called.
  static func find(_ call: LuaCall, at index: Int) throws(Failure) -> [UInt8] {
    guard lua_iscfunction(call.state, Int32(index)) == 0 else { throw .cFunction }
    let upvalues = upvalueNames(call, at: index)
    guard upvalues.isEmpty else { throw .upvalues(upvalues) }
    var debug = lua_Debug()
    call.pushValue(at: index)
    guard lua_getinfo(call.state, ">S", &debug) != 0 else {
      throw .noSource("it has no debug information")
    }
    let source = UnsafeRawBufferPointer(start: debug.source, count: debug.srclen)

    let text: [UInt8]
    switch source.first {
    case UInt8(ascii: "@"):
      let path = String(decoding: source.dropFirst(), as: UTF8.self)
      guard let contents = contents(of: path) else {
        throw .noSource("its file '\(path)' cannot be read")
      }
      text = contents
    case UInt8(ascii: "="), nil:
      throw .noSource("its source was not kept (\(String(decoding: source, as: UTF8.self)))")
    default: text = Array(source)
    }
    // A whole chunk, such as `load` returns.
    if debug.linedefined == 0 { return try wholeChunk(call, at: index, text) }
    let lines = Lines(text, from: Int(debug.linedefined), to: Int(debug.lastlinedefined))
    guard let lines, let found = search(call, at: index, lines) else {
      throw .noSource("its source has changed since it was loaded")
    }
    return found
  }

  /// The names of the function's upvalues, without the table of globals.
  static func upvalueNames(_ call: LuaCall, at index: Int) -> [String] {
    var names: [String] = []
    var number: Int32 = 1
    while let name = lua_getupvalue(call.state, Int32(index), number) {
      let text = String(cString: name)
      // Without debug information upvalues have no names.
      let hasName = text != "(no name)" && !text.isEmpty
      if text != "_ENV", hasName || !isGlobals(call) { names.append(hasName ? text : "?") }
      call.pop()
      number += 1
    }
    return names
  }

  /// Whether the value on top is Lua's own table of globals.
  private static func isGlobals(_ call: LuaCall) -> Bool {
    milonga_pushglobaltable(call.state)
    defer { call.pop() }
    return lua_rawequal(call.state, -1, -2) != 0
  }

  private static func wholeChunk(
    _ call: LuaCall, at index: Int, _ text: [UInt8]
  ) throws(Failure) -> [UInt8] {
    var text = text
    if text.first == UInt8(ascii: "#") {
      // The line is for a shell. It stays as an empty line, so line numbers stay, too.
      text.removeSubrange(..<(text.firstIndex(of: newline) ?? text.count))
    }
    guard let wanted = normalized(call, at: index), isSame(call, text, wanted, calls: false) else {
      throw .noSource("its source has changed since it was loaded")
    }
    return text
  }

  // MARK: Searching

  /// The lines of a function's text.
  private struct Lines {
    let bytes: ArraySlice<UInt8>
    let first: Int
    /// Where the last line begins.
    let lastLine: Int

    init?(_ text: [UInt8], from first: Int, to last: Int) {
      self.first = first
      var line = 1
      var start = first == 1 ? 0 : -1
      var lastStart = last == 1 ? 0 : -1
      var end = text.count
      var index = 0
      while index < text.count {
        // Lua counts \r\n and \n\r as one line end.
        let byte = text[index]
        guard byte == newline || byte == carriageReturn else {
          index += 1
          continue
        }
        let next = index + 1
        let isPair =
          next < text.count && text[next] != byte
          && (text[next] == newline || text[next] == carriageReturn)
        if line == last {
          end = index
          break
        }
        index = next + (isPair ? 1 : 0)
        line += 1
        if line == first { start = index }
        if line == last { lastStart = index }
      }
      guard start >= 0, lastStart >= start, end >= lastStart else { return nil }
      bytes = text[start..<end]
      lastLine = lastStart
    }
  }

  /// Tries each `function` of the first line with each `end` of the last one.
  private static func search(_ call: LuaCall, at index: Int, _ lines: Lines) -> [UInt8]? {
    guard let wanted = normalized(call, at: index) else { return nil }
    let firstLineEnd =
      lines.bytes.firstIndex { $0 == newline || $0 == carriageReturn } ?? lines.bytes.endIndex
    let starts = places(of: "function", in: lines.bytes[..<firstLineEnd])
    let ends = places(of: "end", in: lines.bytes[max(lines.lastLine, lines.bytes.startIndex)...])
    var attempts = 0
    for start in starts {
      guard let head = Head(lines.bytes[(start + 8)...]) else { continue }
      for end in ends where end >= head.rest {
        attempts += 1
        guard attempts <= mostAttempts else { return nil }
        let function = head.text + lines.bytes[head.rest..<end + 3]
        // The function must be on the lines that it had: bytecode has line numbers.
        let padding = [UInt8](repeating: newline, count: lines.first - 1)
        if isSame(call, padding + Array("return ".utf8) + function, wanted, calls: true) {
          return Array("return (".utf8) + function + Array(")(...)".utf8)
        }
      }
    }
    return nil
  }

  private static func places(of word: StaticString, in bytes: ArraySlice<UInt8>) -> [Int] {
    let word = word.withUTF8Buffer { Array($0) }
    var places: [Int] = []
    var index = bytes.startIndex
    while index + word.count <= bytes.endIndex {
      if bytes[index] == word[0], bytes[index..<index + word.count].elementsEqual(word),
        index == bytes.startIndex || !isNamePart(bytes[index - 1]),
        index + word.count == bytes.endIndex || !isNamePart(bytes[index + word.count])
      {
        places.append(index)
      }
      index += 1
    }
    return places
  }

  /// The start of a function without its name.
  private struct Head {
    /// `function(`, or `function(self` if it is a method.
    let text: [UInt8]
    /// Where the parameters go on.
    let rest: Int

    /// - Parameter bytes: what comes after the word `function`.
    init?(_ bytes: ArraySlice<UInt8>) {
      guard let parenthesis = bytes.firstIndex(of: UInt8(ascii: "(")) else { return nil }
      let name = bytes[..<parenthesis]
      let isName = name.allSatisfy {
        isNamePart($0) || isBlank($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":")
      }
      guard isName else { return nil }
      rest = parenthesis + 1
      guard name.contains(UInt8(ascii: ":")) else {
        text = Array("function(".utf8)
        return
      }
      let isAlone = bytes[rest...].first { !isBlank($0) } == UInt8(ascii: ")")
      text = Array((isAlone ? "function(self" : "function(self,").utf8)
    }
  }

  // MARK: Comparing

  private static func normalized(_ call: LuaCall, at index: Int) -> [UInt8]? {
    guard var bytecode = LuaBytecode.dump(call.state, at: Int32(index), strip: true),
      LuaBytecode.forgetUpvalueOrigins(&bytecode)
    else { return nil }
    return bytecode
  }

  /// Whether the text compiles to a function with this bytecode.
  ///
  /// - Parameter calls: the function to compare is the one that the chunk makes and returns.
  private static func isSame(
    _ call: LuaCall, _ text: [UInt8], _ wanted: [UInt8], calls: Bool
  ) -> Bool {
    let top = call.count
    defer { call.count = top }
    guard call.reserve(8) else { return false }
    let status = text.withUnsafeBytes {
      milonga_load(
        call.state, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count, "=text", "t")
    }
    guard status == LUA_OK else { return false }
    if calls {
      guard makesOneFunction(call), milonga_pcall(call.state, 0, 1, 0) == LUA_OK else {
        return false
      }
    }
    return normalized(call, at: call.count) == wanted
  }

  /// Whether the chunk on top is `return function ... end`, and nothing else: other text could
  /// close the function and go on with code that runs.
  private static func makesOneFunction(_ call: LuaCall) -> Bool {
    LuaBytecode.dump(call.state, at: Int32(call.count), strip: true)
      .map(LuaBytecode.returnsFunction) ?? false
  }

  private static func contents(of path: String) -> [UInt8]? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 64 << 10)
    while bytes.count <= largestFile {
      let count = fread(&block, 1, block.count, file)
      if count == 0 { return ferror(file) == 0 ? bytes : nil }
      bytes += block[..<count]
    }
    return nil
  }

  private static let mostAttempts = 1000
  private static let largestFile = 64 << 20
}

private let newline = UInt8(ascii: "\n")
private let carriageReturn = UInt8(ascii: "\r")

private func isBlank(_ byte: UInt8) -> Bool { byte == 32 || 9...13 ~= byte }

private func isNamePart(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
    true
  default: false
  }
}
