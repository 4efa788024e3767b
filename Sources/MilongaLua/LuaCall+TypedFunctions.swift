import CMilongaLua

extension LuaCall {
  /// Pushes a Lua function that converts its arguments, runs `body` and converts its results.
  public func push<each Argument: LuaConvertible, each Result: LuaConvertible>(
    typed body: @escaping (repeat each Argument) throws -> (repeat each Result)
  ) {
    push { (call: LuaCall) throws(LuaFailure) -> LuaOutcome in
      let arguments: (repeat each Argument) = try call.arguments()
      let results: (repeat each Result)
      do {
        results = try body(repeat each arguments)
      } catch let failure as LuaFailure {
        throw failure
      } catch {
        throw call.failure("\(error)")
      }
      return .results(try call.push(results: repeat each results))
    }
  }

  /// The arguments from the first on, as the types asked for.
  ///
  /// - Throws: an argument error for one that does not convert.
  public func arguments<each Argument: LuaConvertible>() throws(LuaFailure) -> (
    repeat each Argument
  ) {
    var index = 0
    func next<Value: LuaConvertible>(_: Value.Type) throws(LuaFailure) -> Value {
      index += 1
      guard let value = Value(self, at: index) else {
        throw typeFailure(argument: index, expected: Value.luaTypeName)
      }
      return value
    }
    return try (repeat next((each Argument).self))
  }

  /// Pushes the values.
  ///
  /// - Returns: how many they are.
  public func push<each Result: LuaConvertible>(
    results: repeat each Result
  ) throws(LuaFailure) -> Int {
    var count = 0
    for result in repeat each results {
      guard reserve(2) else { throw failure("too many results") }
      result.push(onto: self)
      count += 1
    }
    return count
  }
}
