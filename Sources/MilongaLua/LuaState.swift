import CMilongaLua
import CMilongaShims

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
  /// The raw stack, for module authors: that of the coroutine that has called the Swift function
  /// which runs, or of the main thread. So what Swift calls in Lua belongs to the coroutine, and
  /// counts among its nested calls.
  public var call: LuaCall { LuaCall(vm.pointee.memory.frame?.pointee.L ?? main) }
  private let main: OpaquePointer
  private let vm: UnsafeMutablePointer<milonga_vm>
  private static let ownerKey = LuaRegistryKey()

  private let limits: LuaLimits
  private var hasGuards = false

  /// Makes a state.
  ///
  /// Code within an instruction limit, a time limit or both cannot lift it: see
  /// ``instructionLimit(_:)``.
  ///
  /// - Parameters:
  ///   - libraries: which of Lua's standard libraries are there; ``LuaLibraries/safe`` for code
  ///     that is not trusted.
  ///   - memoryLimit: bytes that Lua may hold, nil for no limit. Reaching it is an error of kind
  ///     ``LuaError/Kind/memory`` in the code that allocates.
  ///   - instructionLimit: virtual machine instructions that all code run in the state may use,
  ///     nil for no limit. See ``instructionLimit(_:)``.
  ///   - timeLimit: seconds that a call from Swift may take, nil for no limit. See
  ///     ``timeLimit(_:)``.
  ///   - interruptible: ``interrupt()`` works without one of these limits, too. It costs as much as
  ///     they do: Lua code takes three to four times as long, because each instruction is counted.
  /// - Throws: ``LuaError`` when the limit leaves no room for the libraries.
  public init(
    libraries: LuaLibraries = .all, memoryLimit: Int? = nil, instructionLimit: Int? = nil,
    timeLimit: Double? = nil, interruptible: Bool = false
  ) throws(LuaError) {
    guard let limits = LuaLimits(isInterruptible: interruptible),
      let state = milonga_newstate(memoryLimit ?? 0)
    else { throw LuaError(.memory, "no memory for a Lua state") }
    self.limits = limits
    main = state
    vm = milonga_vm_of(state)
    lua_pushlightuserdata(state, Unmanaged.passUnretained(self).toOpaque())
    call.setRegistry(Self.ownerKey)
    limits.limitInstructions(instructionLimit)
    limits.limitTime(timeLimit)
    hasGuards = limits.areNeeded
    try checkMemory()
    try check(milonga_openselected(state, libraries.rawValue, hasGuards ? 1 : 0))
  }

  deinit {
    // What the state finalises may run while code of another one does.
    let outer = milonga_enter(main, nil)
    milonga_close(main)
    milonga_leave(nil, outer)
  }

  /// The state that owns a raw stack, nil for stacks made elsewhere (as under stock `lua5.4`).
  static func owner(of call: LuaCall) -> LuaState? {
    call.pushRegistry(ownerKey)
    defer { call.pop() }
    return lua_touserdata(call.state, -1).map {
      Unmanaged<LuaState>.fromOpaque($0).takeUnretainedValue()
    }
  }

  /// Bytes that Lua holds now.
  public var memoryInUse: Int { Int(vm.pointee.memory.used) }

  /// Sets how many bytes Lua may hold, nil for no limit. What it holds already it keeps, also
  /// beyond the limit.
  public func memoryLimit(_ bytes: Int?) {
    milonga_set_memory_limit(&vm.pointee.memory, bytes ?? 0)
  }

  /// Sets how many instructions the state may run from now on, nil for no limit. When they are used
  /// up, everything that runs fails with `instruction limit reached`, also inside `pcall`, until
  /// this function sets another limit. The error is of kind ``LuaError/Kind/limit``.
  ///
  /// Every instruction counts, in all coroutines. Functions of the standard libraries count what
  /// they do: a step of a pattern match, an element of a table, 16 bytes of a string are an
  /// instruction. An instruction of Lua's own that concatenates, compares or converts strings is
  /// one, however long they are; a memory limit bounds that.
  ///
  /// Within limits hooks cannot be changed, and metatables with `__gc` are refused, because Lua
  /// runs finalizers without hooks; so are `collectgarbage`, bytecode, and functions of `debug`
  /// that change something. What a function of the program does, which the code calls, is not
  /// counted. Nor is what `io` and `os` do: give code that is not trusted ``LuaLibraries/safe``.
  ///
  /// Set the first limit when the state is made: functions that code has taken out of the libraries
  /// before do not count what they do.
  public func instructionLimit(_ count: Int?) {
    limits.limitInstructions(count)
    guardLibraries()
  }

  /// Sets how many seconds of the monotonic clock each call from Swift may take, nil for no limit.
  /// A call inside of another one is part of that. When they have passed, everything that runs
  /// fails with `time limit reached`, also inside `pcall`, until the outermost call returns. The
  /// error is of kind ``LuaError/Kind/limit``.
  ///
  /// It comes a few milliseconds late, and later when a single instruction takes long. A function
  /// of the program, or one that waits, is not ended; the code that called it is soon after it has
  /// returned.
  public func timeLimit(_ seconds: Double?) {
    limits.limitTime(seconds)
    guardLibraries()
  }

  private func guardLibraries() {
    guard limits.areNeeded, !hasGuards else { return }
    hasGuards = milonga_guard(call.state, 0) == LUA_OK
    if !hasGuards { call.pop() }
  }

  /// Stops the code that runs, from any thread; see ``LuaInterrupter/interrupt()``. The state must
  /// have an instruction limit or a time limit, or be `interruptible`.
  public func interrupt() { limits.interrupter.interrupt() }

  /// Does the same as ``interrupt()``; it can be given to other threads.
  public var interrupter: LuaInterrupter { limits.interrupter }

  /// Collects all garbage, running the finalisers of what was found.
  public func collectGarbage() {
    let run = limits.enter(call.state)
    milonga_collect(call.state)
    limits.leave(run)
  }

  // MARK: Running code

  /// Compiles and runs `code`.
  ///
  /// - Parameter name: what error messages call it; `=name` is printed as it is, `@name` is a file.
  /// - Throws: ``LuaError`` with message and traceback.
  public func run(_ code: String, name: String = "=swift") throws(LuaError) {
    let run = limits.enter(call.state)
    defer { limits.leave(run) }
    try load(code, name: name)
    try runLoaded(results: 0)
  }

  /// Compiles and runs `code` and gives its first result as the type asked for.
  ///
  /// - Throws: ``LuaError``, also when the result is of another type.
  public func evaluate<Result: LuaConvertible>(
    _ code: String, as type: Result.Type = Result.self, name: String = "=swift"
  ) throws(LuaError) -> Result {
    let run = limits.enter(call.state)
    defer { limits.leave(run) }
    try load(code, name: name)
    try runLoaded(results: 1)
    return try popResult()
  }

  /// A global variable. Reading and writing ignore metamethods of the table of globals; a value of
  /// another type reads as nil.
  ///
  /// When the state has no memory for the name or the value, reading gives nil and writing does
  /// nothing; ``global(_:as:)`` and ``setGlobal(_:to:)`` throw then.
  public subscript<Value: LuaConvertible>(global name: String) -> Value? {
    get { try? global(name) }
    set { try? setGlobal(name, to: newValue) }
  }

  /// The global variable `name`, nil when it has no value or one of another type. Metamethods of
  /// the table of globals are ignored.
  ///
  /// - Throws: ``LuaError/Kind/memory`` when the state has no memory for the name.
  public func global<Value: LuaConvertible>(
    _ name: String, as type: Value.Type = Value.self
  ) throws(LuaError) -> Value? {
    milonga_pushglobaltable(call.state)
    call.push(name)
    milonga_rawget(call.state, -2)
    defer { call.pop(2) }
    try checkMemory()
    return call.isNoneOrNil(at: -1) ? nil : Value(call, at: -1)
  }

  /// Sets the global variable `name`. Metamethods of the table of globals are ignored.
  ///
  /// - Throws: ``LuaError/Kind/memory`` when the state has no memory for the value; the variable is
  ///   as it was.
  public func setGlobal(_ name: String, to value: some LuaConvertible) throws(LuaError) {
    value.push(onto: call)
    call.push(name)
    try popIntoGlobal()
  }

  /// Makes the Swift function `body` a global Lua function. Arguments are converted to its
  /// parameter types; what does not convert is an argument error in Lua. What it throws is raised
  /// in Lua.
  ///
  /// When the state has no memory for the function nothing is registered;
  /// ``setGlobal(_:function:)`` throws then.
  public func register<each Argument: LuaConvertible, each Result: LuaConvertible>(
    _ name: String, _ body: @escaping (repeat each Argument) throws -> (repeat each Result)
  ) {
    try? setGlobal(name, function: body)
  }

  /// As ``register(_:_:)``.
  ///
  /// - Throws: ``LuaError/Kind/memory`` when the state has no memory for the function; the variable
  ///   is as it was.
  public func setGlobal<each Argument: LuaConvertible, each Result: LuaConvertible>(
    _ name: String,
    function body: @escaping (repeat each Argument) throws -> (repeat each Result)
  ) throws(LuaError) {
    call.push(typed: body)
    call.push(name)
    try popIntoGlobal()
  }

  /// Pops a name and the value below it into the table of globals, if both are what they should be.
  private func popIntoGlobal() throws(LuaError) {
    defer { call.pop(2) }
    try checkMemory()
    milonga_pushglobaltable(call.state)
    call.pushValue(at: -2)
    call.pushValue(at: -4)
    call.setTableField(of: -3)
    call.pop()
    try checkMemory()
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
    // The last thing that ran was a pcall.
    if let stop = limits.stop {
      call.pop(results)
      throw stop
    }
  }

  func invoke<each Argument: LuaConvertible, Result: LuaConvertible>(
    _ function: LuaReference, _ arguments: repeat each Argument
  ) throws(LuaError) -> Result {
    let run = limits.enter(call.state)
    defer { limits.leave(run) }
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
    let run = limits.enter(call.state)
    defer { limits.leave(run) }
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
    let run = limits.enter(call.state)
    defer { limits.leave(run) }
    object.push(onto: call)
    key.push(onto: call)
    value.push(onto: call)
    let status = milonga_settable(call.state, -3)
    call.remove(at: status == LUA_OK ? -1 : -2)
    try check(status)
  }

  /// What was pushed since the last call is there, or memory was lacking for it.
  private func checkMemory() throws(LuaError) {
    if call.takeExhaustion() { throw LuaError(.memory, "not enough memory") }
  }

  private func popResult<Result: LuaConvertible>() throws(LuaError) -> Result {
    defer { call.pop() }
    let result = Result(call, at: -1)
    try checkMemory()
    guard let result else {
      throw LuaError(
        .conversion, "\(Result.luaTypeName) expected, got \(call.typeName(at: -1))")
    }
    return result
  }

  /// Turns a status and the error value on top of the stack into a Swift error.
  private func check(_ status: Int32) throws(LuaError) {
    guard status != LUA_OK else { return }
    let kind = limits.stop?.kind ?? LuaError.Kind(status: status)
    // If that fails, because there is no memory or no C stack, the text is the reason.
    _ = milonga_tostring(call.state, -1)
    let text = call.stringIfString(at: -1)
    call.pop(2)
    throw LuaError(kind, traced: text ?? "(no message)")
  }
}

extension LuaError.Kind {
  fileprivate init(status: Int32) {
    switch status {
    case LUA_ERRSYNTAX: self = .syntax
    case LUA_ERRMEM: self = .memory
    case LUA_ERRERR: self = .handler
    default: self = .runtime
    }
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
