import CLua

extension LuaCall {
  /// Pushes a Lua function that converts its arguments, runs `body` and converts its results.
  public func push<each Argument: LuaConvertible, each Result: LuaConvertible>(
    typed body: @escaping (repeat each Argument) throws -> (repeat each Result)
  ) {
    push { (call: LuaCall) throws(LuaFailure) -> LuaOutcome in
      var index = 0
      func next<Value: LuaConvertible>(_: Value.Type) throws(LuaFailure) -> Value {
        index += 1
        guard let value = Value(call, at: index) else {
          throw call.typeFailure(argument: index, expected: Value.luaTypeName)
        }
        return value
      }
      let arguments: (repeat each Argument) = try (repeat next((each Argument).self))
      let results: (repeat each Result)
      do {
        results = try body(repeat each arguments)
      } catch let failure as LuaFailure {
        throw failure
      } catch {
        throw call.failure("\(error)")
      }
      var count = 0
      for result in repeat each results {
        guard call.reserve(2) else { throw call.failure("too many results") }
        result.push(onto: call)
        count += 1
      }
      return .results(count)
    }
  }
}
