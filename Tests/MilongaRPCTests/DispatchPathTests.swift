import MilongaRPC
import Testing

@Suite struct DispatchPathTests {
  private func names(_ path: String) -> [String] {
    path.withBytes { DispatchPath($0).map { String(decoding: $0, as: UTF8.self) } }
  }

  @Test func `names are runs of letters, digits and underscores`() {
    #expect(names("echo") == ["echo"])
    #expect(names("nested.method.name") == ["nested", "method", "name"])
    #expect(names("_G.a1:b-c d") == ["_G", "a1", "b", "c", "d"])
    #expect(names("..a...b..") == ["a", "b"])
    #expect(names("caf\u{e9}s\0x") == ["caf", "s", "x"])
    #expect(names("") == [])
    #expect(names(" .:\u{e9}") == [])
  }
}
