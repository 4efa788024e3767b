import CMilongaLua
import CMilongaShims
import Glibc
import MilongaIO
import MilongaLua

extension SocketLibrary {
  /// `select(reading, writing [, timeout])` on poll(2): any number and value of descriptors.
  ///
  /// Besides our own objects it takes whatever has LuaSocket's `getfd` and `dirty` methods.
  func select(_ call: LuaCall) throws(LuaFailure) -> LuaOutcome {
    let timeout = try call.number(at: 3, default: -1)
    call.count = 3
    for index in 1...2 where !call.isNoneOrNil(at: index) { try call.check(index, is: .table) }
    guard call.reserve(20) else { throw call.failure("stack overflow") }

    var selection = Selection()
    for table in 1...2 where !call.isNoneOrNil(at: table) {
      var element = 1
      while try pushElement(call, of: table, element) {
        try collect(call, table, element, into: &selection)
        call.pop()
        element += 1
      }
    }

    let deadline =
      !selection.dirty.isEmpty
      ? 0
      : timeout < 0
        ? MonotonicTime.never : MonotonicTime.deadline(after: timeout, from: MonotonicTime.now())
    let count = try wait(call, &selection.polled, until: deadline)
    if count == 0, selection.dirty.isEmpty {
      call.pushTable()
      call.pushTable()
      call.push("timeout")
      return .results(3)
    }
    let (readable, writable) = selection.ready(count: count)
    call.pushTable()
    var position = 0
    for element in selection.dirty { try add(call, element, of: 1, &position) }
    for element in readable { try add(call, element, of: 1, &position) }
    call.pushTable()
    position = 0
    for element in writable { try add(call, element, of: 2, &position) }
    return .results(2)
  }

  /// What a `select` waits for.
  private struct Selection {
    var polled: [pollfd] = []
    /// For each of `polled` its place in the argument table.
    var elements: [Int] = []
    /// Elements of the first table that have something in their buffers.
    var dirty: [Int] = []

    mutating func add(_ descriptor: Int32, _ table: Int, _ element: Int) {
      let events = Int16(table == 1 ? POLLIN : POLLOUT)
      polled.append(pollfd(fd: descriptor, events: events, revents: 0))
      elements.append(element)
    }

    /// The elements of both tables that are ready.
    ///
    /// - Parameter count: how many of `polled` have something to tell.
    func ready(count: Int32) -> (readable: [Int], writable: [Int]) {
      var readable: [Int] = []
      var writable: [Int] = []
      var left = count
      var place = 0
      while left > 0, place < polled.count {
        let polled = polled[place]
        if polled.revents != 0 {
          left -= 1
          // What else poll(2) tells select(2) does not count.
          if polled.events == Int16(POLLIN) {
            if polled.revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 { readable.append(place) }
          } else {
            if polled.revents & Int16(POLLOUT | POLLERR) != 0 { writable.append(place) }
          }
        }
        place += 1
      }
      return (inOrder(readable), inOrder(writable))
    }

    /// As select(2) tells them: in the order of the descriptors, each descriptor once.
    private func inOrder(_ places: [Int]) -> [Int] {
      guard places.count > 1 else { return places.map { elements[$0] } }
      let sorted = places.sorted { (polled[$0].fd, $0) < (polled[$1].fd, $1) }
      var result: [Int] = []
      for (place, next) in zip(sorted, sorted.dropFirst())
      where polled[place].fd != polled[next].fd {
        result.append(elements[place])
      }
      result.append(elements[sorted[sorted.count - 1]])
      return result
    }
  }

  /// Takes the object on top of the stack into the selection.
  private func collect(
    _ call: LuaCall, _ table: Int, _ element: Int, into selection: inout Selection
  ) throws(LuaFailure) {
    if let socket = any.payload(call, at: -1) {
      guard socket.pointee.descriptor >= 0 else { return }
      if table == 1, !socket.pointee.buffer.isEmpty {
        selection.dirty.append(element)
      } else {
        selection.add(socket.pointee.descriptor, table, element)
      }
      return
    }
    guard let descriptor = try foreignDescriptor(call) else { return }
    if table == 1, try isForeignDirty(call) {
      selection.dirty.append(element)
    } else {
      selection.add(descriptor, table, element)
    }
  }

  private func wait(
    _ call: LuaCall, _ polled: inout [pollfd], until deadline: Int64
  ) throws(LuaFailure) -> Int32 {
    while true {
      let count = poll(
        &polled, nfds_t(polled.count),
        MonotonicTime.milliseconds(until: deadline, from: MonotonicTime.now()))
      if count < 0, errno == EINTR {
        try call.checkInterruption()
        continue
      }
      if count == 0 { return 0 }
      if count > 0, !polled.contains(where: { $0.revents & Int16(POLLNVAL) != 0 }) {
        return count
      }
      throw call.failure("select failed")
    }
  }

  /// Pushes `table[element]`; false, with nothing pushed, when it is nil.
  private func pushElement(
    _ call: LuaCall, of table: Int, _ element: Int
  ) throws(LuaFailure) -> Bool {
    if milonga_rawgeti(call.state, Int32(table), lua_Integer(element)) != LUA_TNIL { return true }
    call.pop()
    // Not there; but a metatable may know it.
    guard lua_getmetatable(call.state, Int32(table)) != 0 else { return false }
    call.pop()
    call.push(element)
    guard milonga_gettable(call.state, Int32(table)) == LUA_OK else { throw .raised }
    if call.type(at: -1) != .nil { return true }
    call.pop()
    return false
  }

  /// What `getfd` of the object on top of the stack says; nil when it has no descriptor.
  private func foreignDescriptor(_ call: LuaCall) throws(LuaFailure) -> Int32? {
    guard try pushAnswer(call, of: "getfd") else { return nil }
    defer { call.pop() }
    guard let number = call.numberIfNumber(at: -1), number >= 0 else { return nil }
    return Int32(clamping: number.clampedToInt)
  }

  private func isForeignDirty(_ call: LuaCall) throws(LuaFailure) -> Bool {
    guard try pushAnswer(call, of: "dirty") else { return false }
    defer { call.pop() }
    return call.boolean(at: -1)
  }

  /// Pushes what a method of the object on top answers; false when it has no such method.
  private func pushAnswer(_ call: LuaCall, of method: StaticString) throws(LuaFailure) -> Bool {
    call.push(method)
    guard milonga_gettable(call.state, -2) == LUA_OK else { throw .raised }
    guard call.type(at: -1) != .nil else {
      call.pop()
      return false
    }
    call.pushValue(at: -2)
    guard milonga_pcall(call.state, 1, 1, 0) == LUA_OK else { throw .raised }
    return true
  }

  /// Adds an element of an argument table to the result table on top: at the next position, and
  /// the position under the element, as LuaSocket does.
  private func add(
    _ call: LuaCall, _ element: Int, of table: Int, _ position: inout Int
  ) throws(LuaFailure) {
    guard try pushElement(call, of: table, element) else { return }
    position += 1
    call.pushValue(at: -1)
    milonga_rawseti(call.state, -3, lua_Integer(position))
    call.push(Double(position))
    milonga_rawset(call.state, -3)
  }
}
