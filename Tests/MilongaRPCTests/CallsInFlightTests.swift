import MilongaRPC
import MilongaTestSupport
import Testing

@Suite struct CallsInFlightTests {
  @Test func `answers belong to the calls in their order`() {
    var calls = CallsInFlight<Int>()
    for number in 0..<100 { _ = calls.add(number) }
    #expect(calls.count == 100)
    for number in 0..<100 { #expect(calls.next() == .caller(number)) }
    #expect(calls.next() == .none)
    #expect(calls.count == 0)
  }

  @Test func `the answer to an abandoned call is dropped in its turn`() throws {
    var calls = CallsInFlight<String>()
    _ = calls.add("a")
    let added = calls.add("b")
    let id = try #require(added)
    _ = calls.add("c")
    #expect(calls.abandon(id) == "b")
    #expect(calls.abandon(id) == nil)
    #expect(calls.count == 3)
    #expect(calls.next() == .caller("a"))
    #expect(calls.next() == .abandoned)
    #expect(calls.next() == .caller("c"))
  }

  @Test func `an answered call cannot be abandoned, nor can a later one by its id`() throws {
    var calls = CallsInFlight<Int>()
    let added = calls.add(1)
    let id = try #require(added)
    _ = calls.next()
    #expect(calls.abandon(id) == nil)
    for number in 2..<20 { _ = calls.add(number) }
    #expect(calls.abandon(id) == nil)
    #expect(calls.next() == .caller(2))
  }

  @Test func `when the limit is reached a call must wait its turn`() {
    var calls = CallsInFlight<Int>(limit: 2)
    #expect(calls.add(1) != nil)
    #expect(calls.add(2) != nil)
    #expect(calls.add(3) == nil)
    #expect(calls.next() == .caller(1))
    #expect(calls.add(3) != nil)
    #expect(CallsInFlight<Int>().limit == 65_536)
  }

  @Test func `abandoned calls count for the limit until they are answered`() throws {
    var calls = CallsInFlight<Int>(limit: 1)
    let added = calls.add(1)
    let id = try #require(added)
    _ = calls.abandon(id)
    #expect(calls.add(2) == nil)
    #expect(calls.next() == .abandoned)
    #expect(calls.add(2) != nil)
  }

  @Test func `calls expire at their deadlines, oldest first`() {
    var calls = CallsInFlight<String>()
    _ = calls.add("late", deadline: 30)
    _ = calls.add("never")
    _ = calls.add("soon", deadline: 10)
    _ = calls.add("mid", deadline: 20)
    #expect(calls.earliestDeadline == 10)
    #expect(calls.expire(now: 9) == [])
    #expect(calls.expire(now: 10) == ["soon"])
    #expect(calls.earliestDeadline == 20)
    #expect(calls.expire(now: 100) == ["late", "mid"])
    #expect(calls.earliestDeadline == nil)
    #expect(calls.next() == .abandoned)
    #expect(calls.next() == .caller("never"))
    #expect(calls.next() == .abandoned)
    #expect(calls.next() == .abandoned)
    #expect(calls.next() == .none)
  }

  @Test func `the earliest deadline may be that of a call already answered, until it passes`() {
    var calls = CallsInFlight<Int>()
    _ = calls.add(1, deadline: 10)
    _ = calls.add(2, deadline: 20)
    _ = calls.next()
    #expect(calls.earliestDeadline == 10)
    #expect(calls.expire(now: 10) == [])
    #expect(calls.earliestDeadline == 20)
    _ = calls.next()
    #expect(calls.earliestDeadline == nil)
  }

  @Test func `when the connection ends, all that still wait are told`() throws {
    var calls = CallsInFlight<Int>()
    for number in 0..<5 { _ = calls.add(number, deadline: 5) }
    _ = calls.next()
    let added = calls.add(5)
    let id = try #require(added)
    _ = calls.abandon(id)
    #expect(calls.failAll() == [1, 2, 3, 4])
    #expect(calls.count == 0)
    #expect(calls.earliestDeadline == nil)
    #expect(calls.next() == .none)
    #expect(calls.add(6) != nil)
    #expect(calls.next() == .caller(6))
  }

  @Test func `it equals a simple model, whatever is done to it`() {
    var generator = SeededGenerator(for: "calls")
    var calls = CallsInFlight<Int>(limit: 50)
    var model: [(id: CallsInFlight<Int>.ID, caller: Int?)] = []
    for number in 0..<20_000 {
      switch generator.below(generator.below(3) + 2) {
      case 0:
        if let id = calls.add(number) { model.append((id, number)) }
      case 1:
        let match = calls.next()
        let expected = model.isEmpty ? nil : model.removeFirst()
        switch match {
        case .none: #expect(expected == nil)
        case .abandoned: #expect(expected != nil && expected?.caller == nil)
        case .caller(let caller): #expect(caller == expected?.caller)
        }
      default:
        guard !model.isEmpty else { continue }
        let index = generator.below(model.count)
        #expect(calls.abandon(model[index].id) == model[index].caller)
        model[index].caller = nil
      }
      #expect(calls.count == model.count)
    }
  }
}
