/// A sink that builds a ``Value`` tree of a value in which tables may come more than once.
///
/// A tree has no cycles and no functions: those are refused. A table that comes again is in the
/// tree again. That takes no memory, but a walk of the tree meets it as often as it comes. So there
/// is a limit for what such tables may add.
public struct ValueGraphBuilder: GraphSink {
  /// Why a value cannot be a tree.
  public enum Refusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// A table is part of itself.
    case cycle

    /// There is a function in it.
    case function

    /// With all that comes more than once it has more than so many values.
    case tooLarge(limit: Int)

    /// One sentence for a log or a user.
    public var description: String {
      switch self {
      case .cycle: "a table that contains itself cannot be a tree of values"
      case .function: "a function cannot be a value outside of Lua"
      case .tooLarge(let limit): "the tree would have more than \(limit) values"
      }
    }
  }

  /// Why the value cannot be used; nil when it can.
  public private(set) var refusal: Refusal?

  private struct OpenTable {
    var number = 0
    let first: Int
  }

  private struct Kept {
    let value: Value
    let values: Int
  }

  private var builder = ValueBuilder()
  private var open: [OpenTable] = []
  private var kept: [Int: Kept] = [:]
  private var values = 0
  private let limit: Int

  /// A builder without a value.
  ///
  /// - Parameter limit: how many values the tree may have; see ``CodecLimits/values``.
  public init(limit: Int = CodecLimits().values) { self.limit = limit }

  /// The value that was completed last; nil at first.
  public var value: Value { builder.value }

  /// Begins with another value.
  public mutating func beginTopLevelValue() { self = ValueGraphBuilder(limit: limit) }

  /// Keeps nil.
  public mutating func null() {
    values += 1
    builder.null()
  }

  /// Keeps a boolean.
  public mutating func boolean(_ value: Bool) {
    values += 1
    builder.boolean(value)
  }

  /// Keeps an integer.
  public mutating func integer(_ value: Int64) {
    values += 1
    builder.integer(value)
  }

  /// Keeps a float.
  public mutating func number(_ value: Double) {
    values += 1
    builder.number(value)
  }

  /// Keeps a copy of a string.
  public mutating func string(_ bytes: UnsafeRawBufferPointer) {
    values += 1
    builder.string(bytes)
  }

  /// Refuses.
  public mutating func function(_ bytes: UnsafeRawBufferPointer) {
    refuse(.function)
    null()
  }

  /// Opens a table.
  public mutating func beginTable(elements: Int, entries: Int) {
    open.append(OpenTable(first: values))
    values += 1
    builder.beginTable(elements: elements, entries: entries)
  }

  /// Remembers the number of the open table.
  public mutating func keep(as number: Int) {
    if let last = open.indices.last { open[last].number = number }
  }

  /// Keeps what has this number once more.
  public mutating func reference(_ number: Int) {
    guard let known = kept[number] else {
      // A function was refused already.
      if open.contains(where: { $0.number == number }) { refuse(.cycle) }
      return null()
    }
    values += known.values
    if values > limit {
      refuse(.tooLarge(limit: limit))
      return null()
    }
    builder.value(known.value)
  }

  /// Adds the value to the open table.
  public mutating func endElement(_ index: Int) { builder.endElement(index) }

  /// Remembers the value as a key.
  public mutating func beginValue() { builder.beginValue() }

  /// Adds the remembered key and the value to the open table.
  public mutating func endEntry() { builder.endEntry() }

  /// Makes the open table the value.
  public mutating func endTable() {
    builder.endTable()
    let table = open.removeLast()
    if table.number != 0 {
      kept[table.number] = Kept(value: builder.value, values: values - table.first)
    }
  }

  private mutating func refuse(_ reason: Refusal) {
    if refusal == nil { refusal = reason }
  }
}
