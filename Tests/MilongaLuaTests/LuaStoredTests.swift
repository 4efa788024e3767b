import MilongaLua
import Testing

/// Lua values that Swift owns.
@Suite struct LuaStoredTests {
  private final class Owner {
    var value: LuaStored

    var isEmpty: Bool { value.isEmpty }

    init(_ value: consuming LuaStored) { self.value = value }
  }

  @Test func theValueLivesAsLongAsItsOwner() throws {
    let lua = try LuaState()
    let before = lua.call.retainedCount
    try lua.run("collected = false")
    var owner: Owner? = try {
      try lua.run(
        "thing = setmetatable({name = 'kept'}, {__gc = function() collected = true end})")
      lua.call.pushGlobal("thing")
      try lua.run("thing = nil")
      return Owner(LuaStored(popping: lua.call))
    }()
    lua.collectGarbage()
    #expect(lua[global: "collected"] == false)
    #expect(lua.call.retainedCount == before + 1)
    owner?.value.push(onto: lua.call)
    lua.call.pushField("name", of: -1)
    #expect(lua.call.stringIfString(at: -1) == "kept")
    lua.call.pop(2)
    owner = nil
    #expect(lua.call.retainedCount == before)
    lua.collectGarbage()
    #expect(lua[global: "collected"] == true)
  }

  @Test func whatIsReplacedIsGivenUp() throws {
    let lua = try LuaState()
    let before = lua.call.retainedCount
    lua.call.push("first")
    let owner = Owner(LuaStored(popping: lua.call))
    lua.call.push("second")
    owner.value = LuaStored(popping: lua.call)
    #expect(lua.call.retainedCount == before + 1)
    owner.value.push(onto: lua.call)
    #expect(lua.call.stringIfString(at: -1) == "second")
    lua.call.pop()
    owner.value = LuaStored()
    #expect(owner.isEmpty)
    #expect(lua.call.retainedCount == before)
  }

  @Test func anEmptyOnePushesNil() throws {
    let lua = try LuaState()
    let owner = Owner(LuaStored())
    owner.value.push(onto: lua.call)
    #expect(owner.isEmpty)
    #expect(lua.call.type(at: -1) == .nil)
    lua.call.pop()
  }

  @Test func nilCanBeOwned() throws {
    let lua = try LuaState()
    let before = lua.call.retainedCount
    lua.call.pushNil()
    let owner = Owner(LuaStored(popping: lua.call))
    #expect(!owner.isEmpty)
    owner.value.push(onto: lua.call)
    #expect(lua.call.type(at: -1) == .nil)
    lua.call.pop()
    owner.value = LuaStored()
    #expect(lua.call.retainedCount == before)
  }

  @Test func aValueStaysWhereItWas() throws {
    let lua = try LuaState()
    lua.call.push(42)
    let count = lua.call.count
    let owner = Owner(LuaStored(lua.call, at: -1))
    #expect(lua.call.count == count)
    owner.value.push(onto: lua.call)
    #expect(lua.call.integerIfInteger(at: -1) == 42)
    lua.call.pop(2)
  }

  @Test func theOwnerMayOutliveTheState() throws {
    let owner = try {
      let lua = try LuaState()
      lua.call.push("value")
      return Owner(LuaStored(popping: lua.call))
    }()
    // Another state may have the memory of the first one.
    let other = try LuaState()
    other.call.push("other")
    let kept = Owner(LuaStored(popping: other.call))
    let count = other.call.retainedCount
    owner.value = LuaStored()
    #expect(other.call.retainedCount == count)
    kept.value.push(onto: other.call)
    #expect(other.call.stringIfString(at: -1) == "other")
    other.call.pop()
  }

  @Test func anOwnerThatTheStateHasGoesWithIt() throws {
    final class Watched {
      let value: LuaStored
      let gone: (Int) -> Void
      let count: () -> Int
      init(_ call: LuaCall, gone: @escaping (Int) -> Void) {
        call.push("value")
        value = LuaStored(popping: call)
        count = { call.retainedCount }
        self.gone = gone
      }
      deinit { gone(count()) }
    }
    var counts: [Int] = []
    try {
      let lua = try LuaState()
      let watched = Watched(lua.call) { counts.append($0) }
      lua.call.push { (_) throws(LuaFailure) in
        _ = watched
        return .results(0)
      }
      lua.call.popGlobal("holder")
    }()
    #expect(counts.count == 1)
  }

  @Test func aCoroutineMayOwnOneAndBeGone() throws {
    let lua = try LuaState()
    var owner: Owner?
    lua.call.push { (call) throws(LuaFailure) in
      owner = Owner(LuaStored(call, at: 1))
      return .results(0)
    }
    lua.call.popGlobal("keep")
    try lua.run("coroutine.wrap(keep)({7})")
    lua.collectGarbage()
    owner?.value.push(onto: lua.call)
    #expect([Int](lua.call, at: -1) == [7])
    lua.call.pop()
    owner = nil
  }
}

extension LuaCall {
  fileprivate func pushGlobal(_ name: StaticString) {
    pushRegistryField("_LOADED")
    pushField("_G", of: -1)
    remove(at: -2)
    pushField(name, of: -1)
    remove(at: -2)
  }
}
