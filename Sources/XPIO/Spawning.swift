import CMilongaLua
import CMilongaShims
import Glibc
import MilongaIO
import MilongaLua
import SystemPackage

/// The places of the stack.
private enum Slot {
  static let arguments = 1
  static let environment = 2
  static let files = 3
  static let attributes = 4
  static let last = 4
}

extension XPIOLibrary {
  /// `xpio.spawn(args, env, files [, attrs])`.
  func spawn(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    try call.check(Slot.arguments, is: .table)
    try call.check(Slot.environment, is: .table)
    try call.check(Slot.files, is: .table)
    let hasAttributes = !call.isNoneOrNil(at: Slot.attributes)
    if hasAttributes { try call.check(Slot.attributes, is: .table) }
    call.count = Slot.last

    let arguments = try arguments(call)
    let environment = try environment(call)
    let file = try file(call, hasAttributes: hasAttributes)
    guard let descriptors = try descriptors(call) else { return .results(2) }
    let path: ByteStrings
    switch try search(for: file, call) {
    case .found(let found): path = found
    case .refused(let refused):
      return call.pushFailure(
        SpawnFailure(step: .program(refused), code: .permissionDenied).description)
    case .notFound:
      // As in XPIO it is raised, without a position.
      call.push("file not found in PATH: ")
      file.withUnsafeBytes { call.push($0) }
      call.concatenate(2)
      throw .raised
    }
    var request = SpawnRequest(
      path: path, arguments: arguments, environment: environment, descriptors: descriptors)
    if hasAttributes { try setAttributes(of: &request, call) }

    do throws(SpawnFailure) {
      pushProcess(try Process.spawn(request), call)
    } catch {
      return call.pushFailure(error.description)
    }
    closeGranted(call)
    return .results(1)
  }

  // MARK: args

  private func arguments(_ call: LuaCall) throws(LuaFailure) -> ByteStrings {
    var arguments = ByteStrings()
    let count = Int(lua_rawlen(call.state, Int32(Slot.arguments)))
    for number in 0..<count {
      milonga_rawgeti(call.state, Int32(Slot.arguments), lua_Integer(number + 1))
      guard let bytes = call.bytesIfString(at: -1) else {
        throw call.argumentFailure(
          Slot.arguments, "string expected as element \(number + 1), got \(call.typeName(at: -1))")
      }
      guard arguments.append(bytes) else {
        throw call.argumentFailure(
          Slot.arguments, "element \(number + 1) contains a NUL, which no program can be given")
      }
      call.pop()
    }
    return arguments
  }

  /// `attrs.exe`, or the first argument.
  private func file(_ call: LuaCall, hasAttributes: Bool) throws(LuaFailure) -> [UInt8] {
    let top = call.count
    if hasAttributes { call.pushField("exe", of: Slot.attributes) } else { call.pushNil() }
    if call.isNoneOrNil(at: -1) {
      milonga_rawgeti(call.state, Int32(Slot.arguments), 1)
      if call.isNoneOrNil(at: -1) {
        call.push("spawn: file not provided")
        throw .raised
      }
    }
    guard let bytes = call.bytesIfString(at: -1) else {
      throw call.argumentFailure(
        Slot.attributes, "string expected as 'exe', got \(call.typeName(at: -1))")
    }
    guard !bytes.contains(0) else {
      throw call.argumentFailure(Slot.attributes, "'exe' contains a NUL: there is no such file")
    }
    let file = Array(bytes)
    call.count = top
    return file
  }

  private func search(
    for file: [UInt8], _ call: LuaCall
  ) throws(LuaFailure) -> ExecutableSearch.Result {
    if file.contains(UInt8(ascii: "/")) {
      var path = ByteStrings()
      path.append(file)
      return .found(path)
    }
    guard !file.isEmpty else { return .notFound }
    // Without PATH it is where execvp(3) looks.
    guard let path = getenv("PATH") else {
      return ExecutableSearch.find(file, in: Array("/bin:/usr/bin".utf8))
    }
    let bytes = UnsafeRawBufferPointer(start: path, count: strlen(path))
    return ExecutableSearch.find(file, in: Array(bytes))
  }

  // MARK: env

  private func environment(_ call: LuaCall) throws(LuaFailure) -> ByteStrings {
    var environment = ByteStrings()
    call.pushNil()
    while milonga_next(call.state, Int32(Slot.environment)) != 0 {
      // A copy of the name: looking at a number as text changes it.
      call.pushValue(at: -2)
      guard let name = call.bytesIfString(at: -1), let value = call.bytesIfString(at: -2) else {
        let (name, value) = (call.typeName(at: -1), call.typeName(at: -2))
        throw call.argumentFailure(
          Slot.environment, "names and values are strings, got a \(name) with a \(value)")
      }
      guard !name.contains(UInt8(ascii: "=")) else {
        throw call.argumentFailure(
          Slot.environment, "the name '\(String(decoding: name, as: UTF8.self))' contains '='")
      }
      guard environment.append(name + [UInt8(ascii: "=")] + value) else {
        throw call.argumentFailure(
          Slot.environment,
          "the name or the value of '\(String(decoding: name.prefix { $0 != 0 }, as: UTF8.self))' "
            + "contains a NUL")
      }
      call.pop(2)
    }
    return environment
  }

  // MARK: files

  /// Which files the child gets. When one of them is closed, nil, with `nil` and the error pushed.
  private func descriptors(_ call: LuaCall) throws(LuaFailure) -> DescriptorMap? {
    var entries: [Int32: Int32] = [:]
    call.pushNil()
    while milonga_next(call.state, Int32(Slot.files)) != 0 {
      guard call.type(at: -2) == .number,
        let child = call.integerIfInteger(at: -2).flatMap({ Int32(exactly: $0) }), child >= 0
      else {
        throw call.argumentFailure(
          Slot.files, "the child's file numbers are integers of 0 or more, got \(shown(call, -2))")
      }
      if let socket = sockets.payload(call, at: -1) {
        let descriptor = socket.pointee.handle.descriptor
        guard descriptor >= 0 else {
          _ = call.pushFailure("file as the child's \(child): already closed")
          return nil
        }
        entries[child] = descriptor
      } else if let parent = call.integerIfInteger(at: -1).flatMap({ Int32(exactly: $0) }),
        parent >= 0
      {
        entries[child] = parent
      } else {
        throw call.argumentFailure(
          Slot.files,
          "a socket object or a file number expected as the child's \(child), got "
            + shown(call, -1))
      }
      call.pop()
    }
    return DescriptorMap(entries)
  }

  /// A number as it is, of other values their type.
  private func shown(_ call: LuaCall, _ index: Int) -> String {
    guard call.type(at: index) == .number else { return call.typeName(at: index) }
    if let integer = call.integerIfInteger(at: index) { return "\(integer)" }
    return "\(call.numberIfNumber(at: index) ?? 0)"
  }

  private func closeGranted(_ call: LuaCall) {
    call.pushNil()
    while milonga_next(call.state, Int32(Slot.files)) != 0 {
      if let socket = sockets.payload(call, at: -1) { close(&socket.pointee.handle) }
      call.pop()
    }
  }

  // MARK: attrs

  private func setAttributes(
    of request: inout SpawnRequest, _ call: LuaCall
  ) throws(LuaFailure) {
    let top = call.count
    call.pushField("cwd", of: Slot.attributes)
    if !call.isNoneOrNil(at: -1) {
      var directory = ByteStrings()
      guard let bytes = call.bytesIfString(at: -1), directory.append(bytes) else {
        throw call.argumentFailure(
          Slot.attributes,
          "a string without NULs expected as 'cwd', got \(call.typeName(at: -1))")
      }
      request.directory = directory
    }
    call.pushField("setsid", of: Slot.attributes)
    request.startsSession = call.boolean(at: -1)
    call.pushField("pgroup", of: Slot.attributes)
    if let leader = processes.payload(call, at: -1) {
      request.group = .led(by: leader.pointee.process)
    } else if call.type(at: -1) == .boolean || call.isNoneOrNil(at: -1) {
      // The leader of a session leads its first group already.
      if call.boolean(at: -1), !request.startsSession { request.group = .new }
    } else {
      throw call.argumentFailure(
        Slot.attributes, "true or a process expected as 'pgroup', got \(call.typeName(at: -1))")
    }
    call.pushField("umask", of: Slot.attributes)
    if !call.isNoneOrNil(at: -1) { request.mask = try mask(call) }
    call.count = top
  }

  /// Lua has no octal numbers: a string is one.
  private func mask(_ call: LuaCall) throws(LuaFailure) -> UInt16 {
    let number =
      call.type(at: -1) == .string
      ? call.stringIfString(at: -1).flatMap { Int($0, radix: 8) }
      : call.integerIfInteger(at: -1)
    guard let number, 0...0o777 ~= number else {
      throw call.argumentFailure(
        Slot.attributes,
        "a number from 0 to 511 or octal digits like '022' expected as 'umask'")
    }
    return UInt16(number)
  }
}
