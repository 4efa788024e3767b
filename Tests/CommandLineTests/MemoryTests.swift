import MilongaTestSupport
import Testing

@Suite("Memory of the program")
struct MemoryTests {
  /// Memory that objects of one size had serves those of another.
  @Test func slabsThatAreEmptyGoBack() throws {
    let place = try Workplace()
    try place.write(
      """
      local function resident()
        for line in io.lines '/proc/self/status' do
          local kilobytes = line:match 'VmRSS:%s*(%d+)'
          if kilobytes then return kilobytes // 1 end
        end
      end
      local before = resident()
      for size = 100, 1000, 100 do
        local t = {}
        for i = 1, 20000000 // size do t[i] = ('x'):rep(size - 20) .. i end
        t = nil
        collectgarbage()
        collectgarbage()
      end
      print((resident() - before) // 1000)
      """, to: "sizes.lua")
    let outcome = try place.run(.milonga, ["sizes.lua"])
    let megabytes = try #require(Int(outcome.output.dropLast()))
    // 20 MB of strings at a time, 200 in all.
    #expect(megabytes < 60)
  }
}
