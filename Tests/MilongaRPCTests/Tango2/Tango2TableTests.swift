import Foundation
import Testing

@testable import MilongaRPC

/// The tables of Docs/wire.md: what each frame does in each state.
@Suite("the tables of Docs/wire.md")
struct Tango2TableTests {
  /// A cell of a table: a frame, a state, and what the page says.
  struct Cell: CustomStringConvertible {
    let frame: String
    let state: String
    let says: String

    var description: String { "\(frame), \(state): \(says)" }
  }

  /// The cells of the tables below "What each frame does", table by table.
  static let tables: [[Cell]] = {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../../Docs/wire.md").standardized
    let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    let part = text.components(separatedBy: "## What each frame does").last ?? ""
    var tables: [[Cell]] = []
    var states: [String] = []
    for line in part.split(separator: "\n", omittingEmptySubsequences: false) {
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      guard line.hasPrefix("|") else {
        states = []
        continue
      }
      if states.isEmpty {
        states = cells
        tables.append([])
      } else if !line.hasPrefix("| ---") {
        for (state, says) in zip(states, cells).dropFirst() {
          tables[tables.count - 1].append(Cell(frame: cells[0], state: state, says: says))
        }
      }
    }
    return tables
  }()

  @Test func `the page has the tables`() {
    #expect(Self.tables.map(\.count) == [7 * 5, 8 * 5, 8 * 3])
  }

  private let ends = Tango2End.pair()

  /// Writes the frame that a row names.
  private func write(_ frame: String, from end: Tango2End) throws {
    switch frame {
    case "call": end.write(.call, id: 1)
    case "result": end.write(.result, id: 1)
    case "result with a stream": end.write(.result, .stream, id: 1)
    case "error": end.write(.error, id: 1)
    case "cancel": end.write(.cancel, id: 1)
    case "items": end.write(.items, id: 1, payload: items("a"))
    case "end": end.write(.end, id: 1)
    case "credit": end.write(.credit, id: 1, payload: fourBytes(100))
    case "settings": end.write(.settings)
    case "release": end.write(.release, payload: fourBytes(1) + fourBytes(1))
    case "ping": end.write(.ping)
    case "pong": end.write(.pong)
    case "goaway": end.write(.goaway, payload: fourBytes(0))
    case "frame of the original's wire, at a server": end.sent += Array("4\n".utf8)
    case "frame with a small letter": end.sent += Array("z".utf8) + [UInt8](repeating: 0, count: 9)
    default: Issue.record("no such frame: \(frame)")
    }
  }

  /// What an event does, in the words of the page.
  private func words(_ event: String) -> String {
    let words = [
      ("violation", "error"), ("nothing", "passed over"), ("dropped", "dropped"),
      ("call ", "begins"), ("cancelled", "cancelled"), ("argument items", "items"),
      ("argument end", "ends the argument"), ("arguments unwanted", "ends the argument"),
      ("credit", "credit"), ("result of", "ends the call"), ("error of", "ends the call"),
      ("end of", "ends the call"), ("stream ", "begins the stream"), ("items", "items"),
      ("settings", "taken"), ("release", "taken"), ("ping", "taken"), ("pong", "taken"),
      ("goaway", "taken"), ("original", "taken"),
    ]
    return words.first { event.hasPrefix($0.0) }?.1 ?? event
  }

  @Test(arguments: tables.first ?? [])
  func `frames for calls of the other end`(_ cell: Cell) throws {
    let (client, server) = ends
    let hasArguments = cell.state == "running, with a stream among its arguments"
    if cell.state != "no such call" {
      client.write(.call, hasArguments ? .stream : [], id: 1)
      client.send(to: server)
      #expect(server.next().hasPrefix("call 1"))
    }
    switch cell.state {
    case "no such call", "running": break
    case "its results are a stream": #expect(server.session.answer(1, hasStream: true) == .now)
    case "cancelled":
      client.write(.cancel, id: 1)
      client.send(to: server)
      #expect(server.next() == "cancelled 1")
    default: #expect(hasArguments)
    }
    try write(cell.frame, from: client)
    client.send(to: server)
    #expect(words(server.next()) == cell.says)
  }

  @Test(arguments: tables.dropFirst().first ?? [])
  func `frames for calls of this end`(_ cell: Cell) throws {
    let (client, server) = ends
    let hasArguments = cell.state == "waiting, with a stream among its arguments"
    if cell.state != "no such call" {
      #expect(try client.session.call(7, hasArguments ? .stream : []) == 1)
    }
    switch cell.state {
    case "no such call", "waiting": break
    case "its results are a stream":
      server.write(.result, .stream, id: 1)
      server.send(to: client)
      #expect(client.next().hasPrefix("stream 1"))
    case "cancelled": #expect(client.session.cancel(1) == 7)
    default: #expect(hasArguments)
    }
    try write(cell.frame, from: server)
    server.send(to: client)
    #expect(words(client.next()) == cell.says)
  }

  @Test(arguments: tables.last ?? [])
  func `frames of no call`(_ cell: Cell) throws {
    let client = Tango2End(.client)
    let server = Tango2End(.server)
    if cell.state == "before the settings" {
      client.sent = []
    } else {
      client.send(to: server)
      #expect(server.next() == "settings")
    }
    if cell.state == "after a goaway" {
      client.write(.goaway, payload: fourBytes(0))
      client.send(to: server)
      #expect(server.next() == "goaway ")
    }
    try write(cell.frame, from: client)
    client.send(to: server)
    #expect(words(server.next()) == cell.says)
  }
}
