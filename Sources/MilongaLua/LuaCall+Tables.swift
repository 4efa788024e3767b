import CMilongaLua
import CMilongaShims

extension LuaCall {
  /// Pushes a new table with room for `elements` array elements and `fields` other keys.
  @inlinable
  public func pushTable(elements: Int = 0, fields: Int = 0) {
    milonga_createtable(state, Int32(clamping: elements), Int32(clamping: fields))
  }

  /// Pushes `table[name]` without metamethods; nil when the value at `index` is no table.
  @inlinable
  public func pushField(_ name: StaticString, of index: Int) {
    let table = lua_absindex(state, Int32(index))
    // Lua remembers the strings it made of C strings by their address.
    lua_pushstring(
      state, UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self))
    milonga_rawget(state, table)
  }

  /// Pops the topmost value into `table[name]`, without metamethods. `index` is the table's place
  /// before the pop. What is no table takes nothing.
  @inlinable
  public func setField(_ name: StaticString, of index: Int) {
    let table = lua_absindex(state, Int32(index))
    push(name)
    milonga_insert(state, -2)
    milonga_rawset(state, table)
  }

  /// Pops the topmost value into `table[element]`, without metamethods. `index` is the table's
  /// place before the pop.
  @inlinable
  public func setElement(_ element: Int, of index: Int) {
    milonga_rawseti(state, Int32(index), lua_Integer(element))
  }

  /// As ``setField(_:of:)``, for a name made at run time.
  @_disfavoredOverload
  public func setField(_ name: String, of index: Int) {
    let table = lua_absindex(state, Int32(index))
    push(name)
    milonga_insert(state, -2)
    milonga_rawset(state, table)
  }

  /// Pops the value on top of the stack into a global variable; metamethods of the table of globals
  /// are ignored.
  public func popGlobal(_ name: String) {
    milonga_pushglobaltable(state)
    insert(at: -2)
    setField(name, of: -2)
    pop()
  }

  /// Pops a value and the string below it into `table[string]`, without metamethods. `index` is the
  /// table's place before that.
  @inlinable
  public func setTableField(of index: Int) { milonga_rawset(state, Int32(index)) }

  /// Pushes `table[key]` without metamethods, where `key` is one that no Lua code can have.
  @inlinable
  public func pushField(_ key: LuaRegistryKey, of index: Int) {
    milonga_rawgetp(state, Int32(index), key.address)
  }

  /// Pops the topmost value into `table[key]`, without metamethods. `index` is the table's place
  /// before the pop.
  @inlinable
  public func setField(_ key: LuaRegistryKey, of index: Int) {
    milonga_rawsetp(state, Int32(index), key.address)
  }

  /// Pushes the value that ``setRegistry(_:)`` has kept under `key`.
  @inlinable
  public func pushRegistry(_ key: LuaRegistryKey) { milonga_pushkept(state, key.address) }

  /// Pops the topmost value and keeps it under `key`: not in Lua's registry, which scripts can
  /// reach.
  @inlinable
  public func setRegistry(_ key: LuaRegistryKey) { milonga_keep(state, key.address) }

  /// Pops the topmost value and keeps it where no Lua code can reach it, until ``release(_:)``.
  ///
  /// ``LuaStored`` does the same, and gives the value up by itself: use that. The bare number is
  /// for tables with many records, where 4 bytes and not 16 count, and which release what they hold
  /// in one place.
  @inlinable
  public func retainTop() -> Int32 {
    let reference = milonga_retain(state)
    // The store grows to twice its size, which is asked for before it becomes large.
    if reference & 0xFFFF == 0 { _ = hasRoom(for: Int(reference) * 32) }
    return reference
  }

  /// How many values ``retainTop()`` keeps in the state.
  public var retainedCount: Int { Int(milonga_memory_of(state).pointee.retained) }

  /// Pushes a value kept by ``retainTop()``.
  @inlinable
  public func pushRetained(_ reference: Int32) { milonga_pushretained(state, reference) }

  /// Pops the topmost value into the place of one kept by ``retainTop()``.
  @inlinable
  public func replaceRetained(_ reference: Int32) { milonga_replaceretained(state, reference) }

  /// Gives up a value kept by ``retainTop()``.
  @inlinable
  public func release(_ reference: Int32) { milonga_unretain(state, reference) }
}

extension LuaCall {
  /// Pushes the Lua value that belongs to the userdata at `index`; the first is 1.
  @inlinable
  public func pushUserValue(_ number: Int, of index: Int) {
    milonga_getuservalue(state, Int32(index), Int32(number))
  }

  /// Pops the topmost value, which belongs to the userdata at `index` from now on: it lives as
  /// long. `index` is the userdata's place before the pop.
  @inlinable
  public func setUserValue(_ number: Int, of index: Int) {
    milonga_setuservalue(state, Int32(index), Int32(number))
  }

  /// Pops the table on top of the stack and makes it the metatable of the value at `index` (its
  /// place before the pop).
  @inlinable
  public func setMetatable(of index: Int) { milonga_setmetatable(state, Int32(index)) }

  /// Replaces the `count` topmost values, strings or numbers, with one string. Of other values it
  /// takes the type's name.
  public func concatenate(_ count: Int) {
    var bytes = 0
    for index in -count..<0 where type(at: index) == .string {
      bytes += Int(lua_rawlen(state, Int32(index)))
    }
    if bytes > MILONGA_SMALL_BYTES, !hasRoom(for: bytes) {
      pop(count)
      push("")
    } else {
      milonga_concat(state, Int32(count))
    }
  }
}

extension LuaCall {
  /// Pushes `package.preload`, where `require` looks first; false, with nothing pushed, when the
  /// state has no package library.
  public func pushPreloadTable() -> Bool {
    pushRegistryField("_PRELOAD")
    if type(at: -1) == .table { return true }
    pop()
    return false
  }

  /// Pushes the registry's value under a name that Lua's own libraries use.
  public func pushRegistryField(_ name: StaticString) {
    lua_pushvalue(state, milonga_registryindex())
    pushField(name, of: -1)
    remove(at: -2)
  }
}
