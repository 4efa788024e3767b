import MilongaTestSupport
import Testing

@testable import MilongaRPC

/// Conversations of the model.
@Suite("two ends of tango/2")
struct Tango2ModelTests {
  private func model(_ generator: inout SeededGenerator) -> Tango2Model {
    func settings() -> Tango2Settings {
      var settings = Tango2Settings()
      settings.calls = UInt32(generator.below(12) + 4)
      settings.callsWithin = UInt32(generator.below(12) + 4)
      settings.streams = UInt32(generator.below(6) + 2)
      settings.window = Tango2Stream.leastWindow * UInt32(generator.below(3) + 1)
      return settings
    }
    return Tango2Model(settings(), settings())
  }

  private func finish(_ model: Tango2Model, _ generator: inout SeededGenerator) throws {
    model.isEnding = true
    for _ in 0..<200_000 where !model.isDone { try model.act(&generator) }
    #expect(model.isDone, "\(model.unfinished)")
    model.checkEnd()
  }

  @Test(arguments: 0..<12)
  func `every call ends once, every stream is whole, and nothing is left`(_ number: Int) throws {
    var generator = SeededGenerator(for: "tango/2 model \(number)")
    let model = model(&generator)
    for _ in 0..<6000 { try model.act(&generator) }
    try finish(model, &generator)
    // Otherwise the model tests little.
    let count = model.count
    #expect(count.calls > 100 && count.results > 20 && count.errors > 10, "\(count)")
    #expect(count.cancelled > 10 && count.streams > 10 && count.items > 50, "\(count)")
    #expect(count.within > 10 && count.waits > 0, "\(count)")
  }

  @Test(arguments: 0..<10)
  func `an end that leaves finishes what runs`(_ number: Int) throws {
    var generator = SeededGenerator(for: "tango/2 goaway \(number)")
    let model = model(&generator)
    for _ in 0..<1500 { try model.act(&generator) }
    model.drain(number % 2)
    for _ in 0..<1500 { try model.act(&generator) }
    if number % 3 == 0 { model.drain(1 - number % 2) }
    try finish(model, &generator)
    #expect(model.ends[1 - number % 2].session.mayClose)
  }

  @Test(arguments: 0..<10)
  func `a lost connection ends every call`(_ number: Int) throws {
    var generator = SeededGenerator(for: "tango/2 loss \(number)")
    let model = model(&generator)
    for _ in 0..<generator.below(3000) { try model.act(&generator) }
    if number % 2 == 0 { model.drain(0) }
    for _ in 0..<generator.below(300) { try model.act(&generator) }
    model.lose()
    model.checkEnd()
  }

  @Test func `a stream of 200,000 items is whole`() throws {
    var generator = SeededGenerator(for: "tango/2 long stream")
    let model = Tango2Model(Tango2Settings(), Tango2Settings())
    model.batch = 1000
    try model.stream(items: 200_000, &generator)
    model.checkEnd()
    #expect(model.calls[0][1]!.nextResult == 200_000 && model.count.items == 200_000)
  }
}
