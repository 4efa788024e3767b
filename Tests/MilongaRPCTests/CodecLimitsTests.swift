import MilongaRPC
import Testing

@Suite struct CodecLimitsTests {
  @Test func `tables nest up to the limit, the outermost included`() throws {
    let limits = CodecLimits(depth: 3)
    #expect(try value("{{{}}}", limits: limits) == [[[]]])
    #expect(try message("{{{}}}", limits: limits) == [[[]]])
    #expect(valueError("{{{{}}}}", limits: limits)?.kind == .limit)
    #expect(messageError("{{{{}}}}", limits: limits)?.kind == .limit)
    #expect(messageError("{a={[{}]={{}}}}", limits: limits)?.kind == .limit)
    #expect(messageError("{[{{{}}}]=1}", limits: limits)?.kind == .limit)
  }

  @Test func `depth is that of nesting, not a count of tables`() throws {
    #expect(try value("{{},{},{{}},{}}", limits: CodecLimits(depth: 3)) == [[], [], [[]], []])
  }

  @Test func `a million brackets are refused at the limit`() {
    let brackets = String(repeating: "{", count: 1_000_000)
    #expect(valueError(brackets)?.offset == 128)
    #expect(messageError(brackets)?.offset == 128)
    #expect(valueError(String(repeating: "{[", count: 1_000_000))?.kind == .limit)
    #expect(valueError(String(repeating: "(", count: 1_000_000))?.kind == .syntax)
    #expect(valueError(String(repeating: "-", count: 1_000_000))?.kind == .syntax)
  }

  @Test func `values are counted wherever they are, keys included`() throws {
    let limits = CodecLimits(values: 4)
    #expect(try value("{1,2,3}", limits: limits) == [1, 2, 3])
    #expect(try value("{a=1,2}", limits: limits).description == "{2,a=1}")
    #expect(valueError("{1,2,3,4}", limits: limits)?.kind == .limit)
    #expect(valueError("{a=1,b=2}", limits: limits)?.kind == .limit)
    #expect(valueError("{{},{},{},{}}", limits: limits)?.kind == .limit)
    #expect(messageError("{[1]=1,[2]=2}", limits: limits)?.kind == .limit)
    #expect(messageError("{a=1,['b']=2}", limits: limits)?.kind == .limit)
  }

  @Test func `a message has so many elements and no more, nor higher indexes`() throws {
    let limits = CodecLimits(messageElements: 3)
    #expect(try message("{1,2,3}", limits: limits) == [1, 2, 3])
    #expect(try message("{[3]=3}", limits: limits) == [nil, nil, 3])
    #expect(try message("{{1,2,3,4}}", limits: limits) == [[1, 2, 3, 4]])
    for text in ["{1,2,3,4}", "{[4]=1}", "{[1e9]=1}", "{[9223372036854775807]=1}", "{[4]=nil}"] {
      #expect(messageError(text, limits: limits)?.kind == .limit)
    }
  }

  @Test func `the defaults are the documented ones`() {
    let limits = RPCLimits()
    #expect(limits.frameBytes == 16 * 1024 * 1024)
    #expect(limits.depth == 128)
    #expect(limits.values == 1_000_000)
    #expect(limits.arguments == 7999)
    #expect(limits.references == 10_000)
    #expect(limits.callsInFlight == 65_536)
    #expect(limits.codec == CodecLimits())
    #expect(limits.codec == CodecLimits(depth: 128, values: 1_000_000, messageElements: 8_000))
  }
}
