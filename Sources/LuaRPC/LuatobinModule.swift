import CMilongaLua
import LuaCodec
import MilongaLua
import MilongaRPC

/// The Lua module `luatobin`: the serialization of `rpc` by itself, as the original has it.
package enum LuatobinModule {
  /// Pushes the module's table.
  package static func open(_ call: LuaCall) {
    let codec = Codec()
    call.pushTable(fields: 2)
    call.setFunction("serialize") { (call) throws(LuaFailure) in try codec.serialize(call) }
    call.setFunction("deserialize") { (call) throws(LuaFailure) in try codec.deserialize(call) }
  }

  /// The memory of reader and writer, which is taken while they are at work: a finalizer may
  /// serialize, too.
  private final class Codec {
    private var reader: LuatobinReader?
    private var writer: LuatobinWriter? = LuatobinWriter()
    private static let limits = CodecLimits(depth: 5000, values: .max)
    private static let mostKept = 1 << 20

    /// `serialize(value)`: the value as a string.
    func serialize(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
      call.count = 1
      var writer = self.writer.take() ?? LuatobinWriter()
      let source = LuaGraphSource(call, depthLimit: Self.limits.depth, sizeLimit: call.memoryLimit)
      var failure: GraphFailure?
      do throws(GraphFailure) {
        try source.write(1, to: &writer)
        writer.buffer.withUnsafeBytes { call.push($0) }
      } catch {
        failure = error
      }
      writer.buffer.removeFirst(writer.buffer.count)
      writer.buffer.shrink(keeping: Self.mostKept)
      self.writer = consume writer
      if let failure {
        if failure.isMemory { throw call.memoryFailure() }
        throw call.failure("cannot serialize: value\(failure.place): \(failure.reason)")
      }
      return .results(1)
    }

    /// `deserialize(string [, count [, offset]])`: where the next value begins, then the values: as
    /// many as are asked for, or all.
    func deserialize(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
      let bytes = try call.bytes(at: 1)
      let count = call.isNoneOrNil(at: 2) ? 0 : try call.integer(at: 2)
      let offset = call.isNoneOrNil(at: 3) ? 1 : try call.integer(at: 3)
      guard 1...bytes.count + 1 ~= offset else {
        throw call.argumentFailure(3, "an offset from 1 to \(bytes.count + 1) expected")
      }
      call.count = 1
      call.push(0)
      var reader = self.reader.take() ?? LuatobinReader(limits: Self.limits)
      reader.begin(UnsafeRawBufferPointer(rebasing: bytes[(offset - 1)...]))
      let values: Int
      do throws(LuaFailure) {
        values = try push(call, count > 0 ? count : .max, from: &reader)
      } catch {
        self.reader = consume reader
        throw error
      }
      call.push(offset + reader.consumed)
      self.reader = consume reader
      call.replace(at: 2)
      return .results(values + 1)
    }

    /// Pushes values, up to `most`; how many there were.
    private func push(
      _ call: LuaCall, _ most: Int, from reader: inout LuatobinReader
    ) throws(LuaFailure) -> Int {
      var sink = LuaGraphSink(call, functions: .init())
      defer { sink.endTopLevelValue() }
      var values = 0
      while values < most, most < .max || !reader.isAtEnd {
        guard sink.beginTopLevelValue() else { throw call.failure("too many values") }
        do throws(CodecError) {
          try reader.readValue(into: &sink)
        } catch {
          throw call.failure("cannot deserialize: \(error)")
        }
        if let refusal = sink.refusal { throw call.failure("cannot deserialize: \(refusal)") }
        values += 1
      }
      return values
    }
  }
}
