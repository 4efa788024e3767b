import Foundation
import MilongaRPC
import MilongaTestSupport
import Testing

/// What Lua 5.1, on which the original runs, makes of our frames.
@Suite struct Lua51Tests {
  /// Reads frames as the original does, evaluates them, and prints each tree in a canonical form.
  private static let script = """
    local function dump(v)
      local t = type(v)
      if t == 'number' then
        if v ~= v then return 'nan' end
        if v == 0 then return '0' end
        return (('%.17g'):format(v))
      elseif t == 'string' then
        return "'" .. (v:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) .. "'"
      elseif t == 'table' then
        local parts = {}
        for k, x in pairs(v) do parts[#parts + 1] = dump(k) .. '=' .. dump(x) end
        table.sort(parts)
        return '{' .. table.concat(parts, ',') .. '}'
      end
      return tostring(v)
    end
    local input, output = io.open(arg[1], 'rb'), io.open(arg[2], 'wb')
    for line in function() return input:read('*l') end do
      local text = input:read(tonumber(line))
      output:write(dump(assert(loadstring('return ' .. text))()), '\\n')
    end
    output:close()
    """

  /// The same form for a tree of ours, with what Lua 5.1 makes of it: all numbers are floats, nil
  /// values are absent, and of the values of one key the last one counts, elements being last.
  private func dump(_ value: Value) -> String {
    switch value {
    case .null: return "nil"
    case .boolean(let value): return String(value)
    case .integer(let value): return dump(.number(Double(value)))
    case .number(let value):
      if value.isNaN { return "nan" }
      return value == 0 ? "0" : String(format: "%.17g", value)
    case .string(let value):
      return "'" + value.bytes.map { String(format: "%02x", $0) }.joined() + "'"
    case .table(let table):
      var members: [String: String] = [:]
      var parts: [String] = []
      for entry in table.entries {
        let value = entry.value == nil ? nil : dump(entry.value)
        if case .table = entry.key {
          // Tables are equal to themselves only.
          if let value { parts.append(dump(entry.key) + "=" + value) }
        } else {
          members[dump(entry.key)] = value
        }
      }
      for (index, element) in table.elements.enumerated() {
        members[String(index + 1)] = element == nil ? nil : dump(element)
      }
      parts += members.map { $0 + "=" + $1 }
      return "{"
        + parts.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        .joined(separator: ",") + "}"
    }
  }

  @Test func `it reads our frames and finds the values we wrote`() throws {
    let paths = ["/usr/bin/lua5.1", "/usr/local/bin/lua5.1"]
    let lua = try #require(
      paths.first { FileManager.default.isExecutableFile(atPath: $0) },
      "lua5.1 is missing: install the Debian package lua5.1")
    let directory = FileManager.default.temporaryDirectory
      .appending(path: "milonga-\(ReferenceID())")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    func path(_ name: String) -> String { directory.appending(path: name).path }

    var generator = SeededGenerator(for: "lua5.1")
    let trees = (0..<2000).map { _ in Value.table(generator.table(depth: 3)) }
    var writer = TangoTextWriter()
    for tree in trees {
      let frame = LengthLineFraming.open(in: &writer.buffer)
      tree.write(to: &writer)
      LengthLineFraming.close(frame, in: &writer.buffer)
    }
    try Data(writer.buffer.contents).write(to: directory.appending(path: "frames"))
    try Data(Self.script.utf8).write(to: directory.appending(path: "dump.lua"))

    let process = Process()
    process.executableURL = URL(fileURLWithPath: lua)
    process.arguments = [path("dump.lua"), path("frames"), path("values")]
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)

    let values = try String(contentsOfFile: path("values"), encoding: .utf8)
      .split(separator: "\n")
    #expect(values.count == trees.count)
    for (value, tree) in zip(values, trees) {
      #expect(value == dump(tree), "\(tree)")
    }
  }
}
