import CLua
import CShims
import Glibc
import IO
import Lua

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
    for table in 1...2 {
      call.pushTable()
      var position = 0
      if table == 1 {
        for element in selection.dirty { try add(call, element, of: table, &position) }
      }
      for element in selection.ready(of: table) { try add(call, element, of: table, &position) }
    }
    return .results(2)
  }

  /// What a `select` waits for.
  private struct Selection {
    var polled: [pollfd] = []
    /// What to look at after the wait: the table, the place in it, and the place in `polled`.
    var watched: [(table: Int, element: Int, place: Int)] = []
    var places: [Int32: Int] = [:]
    /// Elements of the first table that have something in their buffers.
    var dirty: [Int] = []

    /// The elements that are ready, as select(2) tells them: in the order of the descriptors, each
    /// descriptor once.
    func ready(of table: Int) -> [Int] {
      let wanted = Int16(table == 1 ? POLLIN | POLLHUP | POLLERR : POLLOUT | POLLERR)
      var elements: [Int32: Int] = [:]
      for entry in watched
      where entry.table == table && polled[entry.place].revents & wanted != 0 {
        elements[polled[entry.place].fd] = entry.element
      }
      return elements.sorted { $0.key < $1.key }.map(\.value)
    }
  }

  /// Takes the object on top of the stack into the selection.
  private func collect(
    _ call: LuaCall, _ table: Int, _ element: Int, into selection: inout Selection
  ) throws(LuaFailure) {
    guard let descriptor = try descriptor(call) else { return }
    if table == 1, try isDirty(call) {
      selection.dirty.append(element)
      return
    }
    let place = selection.places[descriptor] ?? selection.polled.count
    if place == selection.polled.count {
      selection.places[descriptor] = place
      selection.polled.append(pollfd(fd: descriptor, events: 0, revents: 0))
    }
    selection.polled[place].events |= Int16(table == 1 ? POLLIN : POLLOUT)
    selection.watched.append((table, element, place))
  }

  private func wait(
    _ call: LuaCall, _ polled: inout [pollfd], until deadline: Int64
  ) throws(LuaFailure) -> Int32 {
    while true {
      let count = poll(
        &polled, nfds_t(polled.count),
        MonotonicTime.milliseconds(until: deadline, from: MonotonicTime.now()))
      if count < 0, errno == EINTR { continue }
      if count >= 0, !polled.contains(where: { $0.revents & Int16(POLLNVAL) != 0 }) {
        return count
      }
      throw call.failure("select failed")
    }
  }

  /// Pushes `table[element]`; false, with nothing pushed, when it is nil.
  private func pushElement(
    _ call: LuaCall, of table: Int, _ element: Int
  ) throws(LuaFailure) -> Bool {
    call.push(element)
    guard milonga_gettable(call.state, Int32(table)) == LUA_OK else { throw .raised }
    if call.type(at: -1) != .nil { return true }
    call.pop()
    return false
  }

  /// The descriptor of the object on top of the stack; nil when it has none.
  private func descriptor(_ call: LuaCall) throws(LuaFailure) -> Int32? {
    if let socket = any.payload(call, at: -1) {
      return socket.pointee.descriptor >= 0 ? socket.pointee.descriptor : nil
    }
    guard try pushAnswer(call, of: "getfd") else { return nil }
    defer { call.pop() }
    guard let number = call.numberIfNumber(at: -1), number >= 0 else { return nil }
    return Int32(clamping: number.clampedToInt)
  }

  private func isDirty(_ call: LuaCall) throws(LuaFailure) -> Bool {
    if let socket = any.payload(call, at: -1) { return !socket.pointee.buffer.isEmpty }
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
    lua_rawseti(call.state, -3, lua_Integer(position))
    call.push(Double(position))
    lua_rawset(call.state, -3)
  }
}
