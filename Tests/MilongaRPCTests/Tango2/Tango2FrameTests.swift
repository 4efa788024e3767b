import Foundation
import Testing

@testable import MilongaRPC

/// The bytes of frames, written and read.
@Suite("frames of tango/2")
struct Tango2FrameTests {
  /// The frames of the file that other implementations compare with, by their names.
  static let golden: [String: [UInt8]] = {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("tango2-frames.txt")
    let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    var frames: [String: [UInt8]] = [:]
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split(separator: " ")
      let digits = Array(words.dropFirst().joined())
      frames[String(words[0])] = stride(from: 0, to: digits.count, by: 2).map {
        UInt8(String(digits[$0...$0 + 1]), radix: 16)!
      }
    }
    return frames
  }()

  private func bytes(_ write: (inout OutputBuffer) -> Void) -> [UInt8] {
    var buffer = OutputBuffer()
    write(&buffer)
    return buffer.contents
  }

  private func frame(
    _ kind: Tango2Frame.Kind, _ flags: Tango2Frame.Flags = [], id: UInt32 = 0,
    payload: [UInt8] = []
  ) -> [UInt8] {
    bytes { buffer in
      payload.withUnsafeBytes { payload in
        _ = Tango2Frame.append(kind, flags, id: id, payload: payload, to: &buffer)
      }
    }
  }

  private func call(
    _ flags: Tango2Frame.Flags, id: UInt32, deadline: UInt32? = nil,
    metadata: [(name: [UInt8], value: [UInt8])] = [], limit: UInt32 = 65_535,
    reference: UInt32? = nil, within: UInt32? = nil, _ message: [UInt8]
  ) throws -> [UInt8] {
    var buffer = OutputBuffer()
    let frame = Tango2Frame.open(in: &buffer)
    let options = try Tango2Call.appendOptions(
      deadline: deadline, metadata: metadata, metadataLimit: limit, reference: reference,
      within: within, to: &buffer)
    message.withUnsafeBytes { buffer.append($0) }
    Tango2Frame.close(frame, .call, options.union(flags), id: id, in: &buffer)
    return buffer.contents
  }

  @Test func `frames have the bytes of the file`() throws {
    let echo: [UInt8] = [0x92, 0xA4] + Array("echo".utf8) + [0xA2] + Array("hi".utf8)
    let boo: [UInt8] = [0x91, 0xA3] + Array("boo".utf8)
    let hi = Array("hi".utf8)
    let mine = MessagePackWriter.bytes(Tango2Reference(.function, isReceivers: false, number: 1))
    let theirs = MessagePackWriter.bytes(Tango2Reference(.object, isReceivers: true, number: 12))
    var ordered = Tango2Settings()
    ordered.isOrdered = true
    let written: [String: [UInt8]] = [
      "settings": bytes { Tango2Settings().append(to: &$0) },
      "settings-ordered": bytes { ordered.append(to: &$0) },
      "call": try call([], id: 1, echo),
      "call-deadline": try call([], id: 3, deadline: 1500, echo),
      "call-metadata": try call(
        [], id: 5, metadata: [(Array("tenant".utf8), Array("a7".utf8))], echo),
      "call-stream": try call(.stream, id: 7, echo),
      "call-reference": try call([], id: 2, reference: 12, [0x92, 0xC0, 0xA2] + hi),
      "call-method": try call(
        [], id: 2, reference: 12, [0x92, 0xA4] + Array("read".utf8) + [5]),
      "call-within": try call([], id: 4, reference: 12, within: 7, [0x92, 0xC0, 0xA2] + hi),
      "call-all": try call(
        .stream, id: 6, deadline: .max, metadata: [(Array("a".utf8), [])], reference: 12,
        within: 7, [0x91, 0xC0]),
      "call-function": try call([], id: 9, [0x93] + echo[1..<6] + mine + theirs),
      "result": frame(.result, id: 1, payload: [0x91, 0xA2] + Array("hi".utf8)),
      "result-stream": frame(.result, .stream, id: 1, payload: [0x90]),
      "error": frame(.error, Tango2Refusal.raised.flags, id: 1, payload: boo),
      "error-not-called": frame(.error, Tango2Refusal.notCalled.flags, id: 1, payload: boo),
      "error-cancelled": frame(.error, Tango2Refusal.cancelled.flags, id: 1, payload: boo),
      "error-deadline": frame(.error, Tango2Refusal.deadline.flags, id: 1, payload: boo),
      "cancel": frame(.cancel, id: 1),
      "items": frame(.items, id: 1, payload: [3, 0x92, 1, 2, 3, 0x92, 3, 4]),
      "end": frame(.end, id: 1),
      "end-failed": frame(.end, .failed, id: 1, payload: boo),
      "credit": frame(.credit, id: 1, payload: [0, 0, 0x80, 0]),
      "release": frame(.release, payload: [0, 0, 0, 12, 0, 0, 0, 2]),
      "ping": frame(.ping, payload: Array("hi".utf8)),
      "pong": frame(.pong, payload: Array("hi".utf8)),
      "goaway": bytes { Tango2Frame.appendGoaway(lastTaken: 5, reason: "restart", to: &$0) },
    ]
    #expect(written == Self.golden)
  }

  private func next(_ bytes: [UInt8], maxBytes: Int = 1 << 20) -> Tango2Frame.Result {
    bytes.withUnsafeBytes { Tango2Frame.next(in: $0, maxBytes: maxBytes) }
  }

  @Test func `a frame is known when all of it is there`() {
    for (name, bytes) in Self.golden {
      for count in 0..<bytes.count {
        guard case .incomplete(let needed) = next(Array(bytes[..<count])) else {
          Issue.record("\(name): \(count) bytes are no whole frame")
          continue
        }
        #expect(needed > 0 && needed <= bytes.count - count)
      }
      guard case .frame(let header) = next(bytes + [0x43]) else {
        Issue.record("\(name) is no frame")
        continue
      }
      #expect(header.payloadBytes == bytes.count - Tango2Frame.headerBytes)
      #expect(header.kind.rawValue == bytes[0])
    }
  }

  @Test func `a frame of the original's wire is known by its first byte`() {
    for digit in UInt8(ascii: "0")...UInt8(ascii: "9") { #expect(next([digit]) == .original) }
    for kind in Tango2Frame.Kind.allCases { #expect(!isDigit(kind.rawValue)) }
  }

  @Test func `what is no frame is refused at its header`() {
    func header(_ kind: UInt8, _ flags: UInt8 = 0, _ bytes: UInt32 = 0, id: UInt32 = 0) -> [UInt8] {
      [kind, flags] + withUnsafeBytes(of: bytes.bigEndian, Array.init)
        + withUnsafeBytes(of: id.bigEndian, Array.init)
    }
    #expect(
      next(header(0x43, 0, 101, id: 1), maxBytes: 100) == .invalid(.tooLong(bytes: 101, limit: 100))
    )
    #expect(next(header(0x5A)) == .invalid(.unknownKind(0x5A)))
    #expect(next(header(0)) == .invalid(.unknownKind(0)))
    #expect(next(header(0x52, 1, id: 1)) == .invalid(.unknownFlags(.result, .init(rawValue: 1))))
    #expect(next(header(0x50, 1)) == .invalid(.unknownFlags(.ping, .init(rawValue: 1))))
    #expect(next(header(0x43, 32, id: 1)) == .invalid(.unknownFlags(.call, .init(rawValue: 32))))
    #expect(next(header(0x43)) == .invalid(.badID(.call, 0)))
    #expect(next(header(0x50, id: 3)) == .invalid(.badID(.ping, 3)))
    let items = header(0x49, 0, 51, id: 1)
    #expect(
      items.withUnsafeBytes { Tango2Frame.next(in: $0, maxBytes: 100, maxItemBytes: 50) }
        == .invalid(.tooLong(bytes: 51, limit: 50)))
    // A small letter is a kind that may be passed over.
    #expect(next(header(0x7A, 0xFF, 3, id: 9) + [1, 2, 3]) == .unknown(bytes: 13))
    #expect(next(header(0x7A, 0xFF, 3, id: 9) + [1, 2]) == .incomplete(needed: 1))
  }

  @Test func `names and values of metadata come as they were sent`() throws {
    let metadata = [("traceparent", "00-ab"), ("x", ""), ("x", String(repeating: "v", count: 300))]
      .map { (name: Array($0.0.utf8), value: Array($0.1.utf8)) }
    let bytes = try call([], id: 1, deadline: 0, metadata: metadata, [0x90])
    try bytes.withUnsafeBytes { bytes in
      let payload = UnsafeRawBufferPointer(rebasing: bytes[Tango2Frame.headerBytes...])
      let call = try Tango2Call([.deadline, .metadata], payload)
      #expect(call.deadline == 0)
      #expect(call.metadata.map { Array($0.name) } == metadata.map(\.name))
      #expect(call.metadata.map { Array($0.value) } == metadata.map(\.value))
      #expect(Array(call.message) == [0x90])
    }
  }

  @Test func `metadata that cannot be sent say why`() {
    for name in ["", "Upper", "sp ace", "ü", String(repeating: "n", count: 256)] {
      let metadata = [(name: Array(name.utf8), value: [UInt8]())]
      #expect(throws: Tango2MetadataError.badName(Array(name.utf8))) {
        try call([], id: 1, metadata: metadata, [])
      }
    }
    let long = [(name: Array("n".utf8), value: [UInt8](repeating: 0, count: 65_532))]
    #expect(throws: Tango2MetadataError.tooLong(bytes: 65_536, limit: 65_535)) {
      try call([], id: 1, metadata: long, limit: .max, [])
    }
    let short = [(name: Array("n".utf8), value: [UInt8](repeating: 0, count: 7))]
    #expect(throws: Tango2MetadataError.tooLong(bytes: 11, limit: 10)) {
      try call([], id: 1, metadata: short, limit: 10, [])
    }
  }

  @Test func `deadlines have their bounds`() {
    let times: [(Double, UInt32)] = [
      (1.5, 1500), (0, 0), (-1, 0), (0.0001, 1), (.infinity, .max), (.nan, 0), (1e9, .max),
      (4_294_967.295, .max),
    ]
    for (seconds, milliseconds) in times {
      #expect(Tango2Call.milliseconds(seconds) == milliseconds, "\(seconds)")
    }
  }

  @Test func `items of any length are told apart`() {
    let lengths = [1, 127, 128, 16_383]
    var buffer = OutputBuffer()
    for length in lengths {
      Tango2Items.append(length: length, to: &buffer)
      let item = [UInt8](repeating: UInt8(length & 0xFF), count: length)
      item.withUnsafeBytes { buffer.append($0) }
    }
    buffer.withUnsafeBytes { bytes in
      #expect(Tango2Items(bytes)?.map(\.count) == lengths)
      #expect(Tango2Items(UnsafeRawBufferPointer(rebasing: bytes.dropLast())) == nil)
    }
    let long = item(20_000)
    #expect(long.withUnsafeBytes { Tango2Items($0)?.map(\.count) } == [19_997])
    let malformed =
      [[], [0], [1, 9, 0], [0x80], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0], [2, 1], long + long]
      as [[UInt8]]
    for malformed in malformed {
      #expect(malformed.withUnsafeBytes { Tango2Items($0) == nil }, "\(malformed)")
    }
  }
}

extension MessagePackWriter {
  /// The bytes of a reference.
  static func bytes(_ reference: Tango2Reference) -> [UInt8] {
    var writer = MessagePackWriter()
    writer.reference(reference)
    return writer.buffer.contents
  }
}
