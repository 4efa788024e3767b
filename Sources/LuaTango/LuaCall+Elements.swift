import CMilongaLua
import CMilongaShims
import MilongaLua

/// Messages as the tables that a program's own `serialize` and `unserialize` work with.
extension LuaCall {
  /// Replaces the values from `first` to the top by a table of them.
  func gatherElements(from first: Int) {
    let last = count
    pushTable(elements: last - first + 1)
    insert(at: first)
    for position in stride(from: last - first + 1, to: 0, by: -1) {
      milonga_rawseti(state, Int32(first), lua_Integer(position))
    }
  }

  /// Replaces the table on top by its elements, up to the largest integer key that is not above
  /// `limit`; holes are nil.
  func spreadElements(limit: Int) {
    let table = count
    var last = Int(min(lua_rawlen(state, Int32(table)), lua_Unsigned(limit)))
    pushNil()
    while milonga_next(state, Int32(table)) != 0 {
      if lua_isinteger(state, -2) != 0 {
        let key = Int(lua_tointegerx(state, -2, nil))
        if key <= limit { last = max(last, key) }
      }
      pop()
    }
    guard reserve(last + 4) else { return }
    for position in stride(from: 1, through: last, by: 1) {
      milonga_rawgeti(state, Int32(table), lua_Integer(position))
    }
    remove(at: table)
  }
}
