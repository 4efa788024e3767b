import CLua
import CShims

/// A Lua virtual machine inside a Swift program.
///
/// ```swift
/// let lua = try LuaState()
/// lua.register("add") { (a: Int, b: Int) in a + b }
/// let sum = try lua.evaluate("return add(40, 2)", as: Int.self)
/// ```
///
/// A state belongs to one thread at a time. When it goes, every value, function and userdata in it
/// is finalised and freed.
public final class LuaState {
  /// The raw stack, for module authors: that of the coroutine that has called the Swift function which runs,
  /// or of the main thread. So what Swift calls in Lua belongs to the coroutine, and counts among its nested
  /// calls.
  public var call: LuaCall { LuaCall(vm.pointee.frame?.pointee.L ?? main) }
  private let main: OpaquePointer
  private let vm: UnsafeMutablePointer<milonga_vm>
  private static let ownerKey = LuaRegistryKey()

  /// Makes a state.
  ///
  /// - Parameters:
  ///   - libraries: open Lua's standard libraries.
  ///   - memoryLimit: bytes that Lua may hold, nil for no limit. Reaching it is an error of kind
  ///     ``LuaError/Kind/memory`` in the code that allocates.
  ///   - instructionLimit: virtual machine instructions that all code run in the state may use,
  ///     nil for no limit. See ``instructionLimit(_:)``.
  /// - Throws: ``LuaError`` when the limit leaves no room for the libraries.
  public init(
    libraries: Bool = true, memoryLimit: Int? = nil, instructionLimit: Int? = nil
  ) throws(LuaError) {
    guard let state = milonga_newstate(memoryLimit ?? 0) else {
      throw LuaError(.memory, "no memory for a Lua state")
    }
    main = state
    vm = milonga_vm_of(state)
    lua_pushlightuserdata(state, Unmanaged.passUnretained(self).toOpaque())
    call.setRegistry(Self.ownerKey)
    if libraries { try check(milonga_openlibs(state)) }
    if let instructionLimit { self.instructionLimit(instructionLimit) }
  }

  deinit { milonga_close(main) }

  /// The state that owns a raw stack, nil for stacks made elsewhere (as under stock `lua5.4`).
  static func owner(of call: LuaCall) -> LuaState? {
    call.pushRegistry(ownerKey)
    defer { call.pop() }
    return lua_touserdata(call.state, -1).map {
      Unmanaged<LuaState>.fromOpaque($0).takeUnretainedValue()
    }
  }

  /// Bytes that Lua holds now.
  public var memoryInUse: Int { Int(vm.pointee.used) }

  /// Sets how many instructions the state may run from now on, nil for no limit. When they are used
  /// up, everything that runs fails with `instruction limit reached`, also inside `pcall`.
  /// Coroutines made while there was no limit are not counted.
  public func instructionLimit(_ count: Int?) {
    milonga_set_instruction_limit(call.state, Int64(count ?? -1))
  }

  /// Collects all garbage, running the finalisers of what was found.
  public func collectGarbage() { milonga_collect(call.state) }

  // MARK: Running code

  /// Compiles and runs `code`.
  ///
  /// - Parameter name: what error messages call it; `=name` is printed as it is, `@name` is a file.
  /// - Throws: ``LuaError`` with message and traceback.
  public func run(_ code: String, name: String = "=swift") throws(LuaError) {
    try load(code, name: name)
    try runLoaded(results: 0)
  }

  /// Compiles and runs `code` and gives its first result as the type asked for.
  ///
  /// - Throws: ``LuaError``, also when the result is of another type.
  public func evaluate<Result: LuaConvertible>(
    _ code: String, as type: Result.Type = Result.self, name: String = "=swift"
  ) throws(LuaError) -> Result {
    try load(code, name: name)
    try runLoaded(results: 1)
    return try popResult()
  }

  /// A global variable. Reading and writing ignore metamethods of the table of globals; a value of
  /// another type reads as nil.
  public subscript<Value: LuaConvertible>(global name: String) -> Value? {
    get {
      milonga_pushglobaltable(call.state)
      call.push(name)
      milonga_rawget(call.state, -2)
      defer { call.pop(2) }
      return call.isNoneOrNil(at: -1) ? nil : Value(call, at: -1)
    }
    set {
      milonga_pushglobaltable(call.state)
      newValue.push(onto: call)
      call.setField(name, of: -2)
      call.pop()
    }
  }

  /// Makes the Swift function `body` a global Lua function. Arguments are converted to its parameter
  /// types; what does not convert is an argument error in Lua. What it throws is raised in Lua.
  public func register<each Argument: LuaConvertible, each Result: LuaConvertible>(
    _ name: String, _ body: @escaping (repeat each Argument) throws -> (repeat each Result)
  ) {
    call.push(typed: body)
    call.popGlobal(name)
  }

  // MARK: Protected operations

  private func load(_ code: String, name: String) throws(LuaError) {
    var code = code
    let status = code.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) {
        milonga_load(call.state, $0.baseAddress, $0.count, name, "t")
      }
    }
    try check(status)
  }

  /// Calls the function below `arguments` with a traceback handler.
  private func runLoaded(arguments: Int = 0, results: Int) throws(LuaError) {
    let function = call.count - arguments
    call.pushTracebackHandler()
    call.insert(at: function)
    let status = milonga_pcall(call.state, Int32(arguments), Int32(results), Int32(function))
    call.remove(at: function)
    try check(status)
  }

  func invoke<each Argument: LuaConvertible, Result: LuaConvertible>(
    _ function: LuaReference, _ arguments: repeat each Argument
  ) throws(LuaError) -> Result {
    var count = 0
    for _ in repeat (each Argument).self { count += 1 }
    guard call.reserve(count + 4) else { throw LuaError(.memory, "too many arguments (\(count))") }
    function.push(onto: call)
    for argument in repeat each arguments { argument.push(onto: call) }
    try runLoaded(arguments: count, results: 1)
    return try popResult()
  }

  func index<Result: LuaConvertible>(
    _ object: LuaReference, _ key: some LuaConvertible
  ) throws(LuaError) -> Result {
    object.push(onto: call)
    key.push(onto: call)
    let status = milonga_gettable(call.state, -2)
    call.remove(at: -2)
    try check(status)
    return try popResult()
  }

  func assign(
    _ object: LuaReference, _ key: some LuaConvertible, _ value: some LuaConvertible
  ) throws(LuaError) {
    object.push(onto: call)
    key.push(onto: call)
    value.push(onto: call)
    let status = milonga_settable(call.state, -3)
    call.remove(at: status == LUA_OK ? -1 : -2)
    try check(status)
  }

  private func popResult<Result: LuaConvertible>() throws(LuaError) -> Result {
    defer { call.pop() }
    guard let result = Result(call, at: -1) else {
      throw LuaError(
        .conversion, "\(Result.luaTypeName) expected, got \(call.typeName(at: -1))")
    }
    return result
  }

  /// Turns a status and the error value on top of the stack into a Swift error.
  private func check(_ status: Int32) throws(LuaError) {
    guard status != LUA_OK else { return }
    let kind: LuaError.Kind =
      switch status {
      case LUA_ERRSYNTAX: .syntax
      case LUA_ERRMEM: .memory
      case LUA_ERRERR: .handler
      default: .runtime
      }
    _ = milonga_tostring(call.state, -1)
    let text = call.stringIfString(at: -1) ?? "(no message)"
    call.pop(2)
    throw LuaError(kind, traced: text)
  }
}

extension LuaError {
  /// Splits what the traceback handler made into message and traceback.
  fileprivate init(_ kind: Kind, traced text: String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    if let start = lines.firstIndex(of: "stack traceback:") {
      self.init(
        kind, lines[..<start].joined(separator: "\n"),
        traceback: lines[start...].joined(separator: "\n"))
    } else {
      self.init(kind, text)
    }
  }
}
