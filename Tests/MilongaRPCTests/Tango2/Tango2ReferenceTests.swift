import Testing

@testable import MilongaRPC

/// Functions and objects in messages.
@Suite("references of tango/2")
struct Tango2ReferenceTests {
  /// Remembers the references that it gets.
  private struct Receiver: MessageSink {
    var references: [Tango2Reference] = []
    var elements = 0
    var takesReferences: Bool { true }

    mutating func reference(_ reference: Tango2Reference) { references.append(reference) }
    mutating func null() {}
    mutating func boolean(_ value: Bool) {}
    mutating func integer(_ value: Int64) {}
    mutating func number(_ value: Double) {}
    mutating func string(_ bytes: UnsafeRawBufferPointer) {}
    mutating func beginTable(elements: Int, entries: Int) {}
    mutating func endTable() {}
    mutating func endMessageElement(at index: Int) { elements += 1 }
    mutating func discardMessageEntry() {}
  }

  private let all = [
    Tango2Reference(.function, isReceivers: false, number: 1),
    Tango2Reference(.object, isReceivers: false, number: .max),
    Tango2Reference(.function, isReceivers: true, number: 7),
    Tango2Reference(.object, isReceivers: true, number: 1 << 24),
    Tango2Reference(.function, isReceivers: false, number: 1),
  ]

  /// A message with all of them, one in a table.
  private var message: [UInt8] {
    var writer = MessagePackWriter()
    let takesReferences = writer.takesReferences
    #expect(takesReferences)
    writer.beginMessage(elements: all.count + 1)
    writer.integer(5)
    for reference in all.dropLast() { writer.reference(reference) }
    writer.beginTable(elements: 1, entries: 0)
    writer.reference(all.last!)
    writer.endTable()
    writer.endMessage()
    return writer.buffer.contents
  }

  @Test func `references come as they were sent`() throws {
    var receiver = Receiver()
    try message.withUnsafeBytes { try MessagePack.readMessage($0, into: &receiver) }
    #expect(receiver.references == all && receiver.elements == all.count + 1)
  }

  @Test func `the sender's references in a dropped message are found`() {
    #expect(message.withUnsafeBytes { Tango2Reference.numbers(in: $0) } == [1, .max, 1])
    let broken = message.dropLast(4)
    #expect(Array(broken).withUnsafeBytes { Tango2Reference.numbers(in: $0) } == [1, .max])
  }

  @Test(
    arguments: [
      [0xC7, 5, 1, 0x66, 0, 0, 0], [0xC7, 5, 1, 0x66, 0, 0, 0, 0], [0xC7, 5, 1, 0x67, 0, 0, 0, 1],
      [0xC7, 5, 2, 0x66, 0, 0, 0, 1], [0xC7, 4, 1, 0x66, 0, 0, 1],
      [0xD7, 1, 0, 0, 0, 0, 0, 0, 0, 1],
      [0xC1],
    ] as [[UInt8]])
  func `other extensions are refused`(_ bytes: [UInt8]) {
    var receiver = Receiver()
    #expect(throws: CodecError.self) {
      try bytes.withUnsafeBytes { try MessagePack.readValue($0, into: &receiver) }
    }
    #expect(receiver.references.isEmpty)
  }

  @Test func `who takes no references refuses them, and other codecs have none`() {
    #expect(throws: CodecError.self) {
      var sink = ValueBuilder()
      try MessagePackWriter.bytes(all[0]).withUnsafeBytes {
        try MessagePack.readValue($0, into: &sink)
      }
    }
    let others = [TangoTextWriter().takesReferences, JSONWriter().takesReferences]
    #expect(others == [false, false])
    #expect(Tango2Reference.refusal(of: "a function").hasPrefix("a function cannot be sent"))
  }

  private func release(_ table: inout Tango2ReferenceTable<String>, _ numbers: UInt32...)
    -> [String]
  {
    var released: [String] = []
    numbers.flatMap(fourBytes).withUnsafeBytes {
      table.release($0) { released.append("\($0)\($1)") }
    }
    return released
  }

  @Test func `an object is released as often as it was given out`() throws {
    var table = Tango2ReferenceTable<String>(limit: 2)
    #expect(try table.give("a") == 1)
    #expect(try table.give("b") == 2)
    table.giveAgain(2)
    table.keep()
    #expect(throws: ReferenceError.tooMany(limit: 2)) { try table.give("c") }
    #expect(table[1] == "a" && table[3] == nil)
    #expect(release(&table, 2, 1, 9, 1, 1, 5) == ["1a"])
    #expect(release(&table, 2, 1) == ["2b"])
    #expect(release(&table, 2, 1).isEmpty && table.count == 0)
    #expect(try table.give("c") == 3)
    #expect(table.removeAll() == ["c"])
  }

  @Test func `a message that does not leave gives nothing out`() throws {
    var table = Tango2ReferenceTable<String>()
    let kept = try table.give("a")
    table.keep()
    table.giveAgain(kept)
    _ = try table.give("b")
    var back: [String] = []
    table.takeBack { back.append("\($0)\($1)") }
    #expect(back == ["2b"] && table.count == 1)
    table.takeBack { back.append("\($0)\($1)") }
    #expect(release(&table, 1, 1) == ["1a"])
  }
}
