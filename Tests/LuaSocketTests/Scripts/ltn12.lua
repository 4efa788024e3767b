-- ltn12: single calls, with the corner cases.
local ltn12 = require "ltn12"
local source, sink, pump, filter = ltn12.source, ltn12.sink, ltn12.pump, ltn12.filter
local calls = require "calls"
local case, times, script = calls.case, calls.times, calls.script

-- A case that prints what several calls of a source, sink or filter return.
local function several(name, count, f, ...) case(name, times, count, f, ...) end
local function identity(chunk) return chunk end

-- sources
several("string", 5, source.string "abc")
case("long string", function()
  local s = source.string(("x"):rep(5000))
  return #s(), #s(), #s(), s()
end)
several("empty string", 2, source.string "")
several("no string", 2, source.string(nil))
several("number", 2, source.string(5))
several("table with a hole", 4, source.table { "a", nil, "b" })
several("table with false", 4, source.table { 1, false, "c" })
several("table by metatable", 4, source.table(setmetatable({}, {
  __index = function(_, i) return i < 3 and "v" .. i or nil end,
})))
case("no table", source.table)
case("string as table", source.table, "x")
several("empty", 2, source.empty())
several("error", 2, source.error "E")
several("no file", 2, source.file(nil, "M"))
several("no file, no reason", 2, source.file(nil))
case("file closed at end", function()
  local closed = false
  local s = source.file { read = function() end, close = function() closed = true end }
  return s(), closed
end)
several("cat", 8, source.cat(source.table { "a", "" }, source.empty(), source.string "b",
  source.error "E", source.string "c"))
several("cat nothing", 2, source.cat())
case("rewind", function()
  local s = source.rewind(source.table { "a", "b" })
  local first = s()
  s "z"
  s "y"
  return first, times(5, s)
end)
several("simplify source", 3, source.simplify(function()
  return "a", function() return "b" end
end))
several("simplify, end", 2, source.simplify(function() end))
case("simplify nothing", source.simplify)

-- sinks
several("sink, no file", 1, sink.file(nil, "M"), "x")
several("sink, no file, no reason", 1, sink.file(nil), "x")
several("write error", 1, sink.file { write = function() return nil, "full", 28 end }, "x")
several("simplify sink", 4, sink.simplify(function()
  return 1, function()
    return 2, function() return nil, "E" end
  end
end), "x")
case("simplify no sink", sink.simplify)
case("null", function()
  local s = sink.null()
  return s "x", s(nil, "e")
end)
several("sink error", 2, sink.error "E", "x")
case("sink table", function()
  local s, t = sink.table()
  return s "a", s "", s(nil), #t
end)
case("sink given table", function()
  local mine = { "x" }
  local s, t = sink.table(mine)
  s "a"
  return t == mine, #mine
end)

-- pumps
case("step", pump.step, source.table { "a" }, sink.null())
case("step at end", pump.step, source.empty(), sink.null())
case("step, source fails", pump.step, source.error "E", sink.error "K")
case("step, sink fails", pump.step, source.string "E", sink.error "K")
case("step, chunk and error", pump.step, function() return "c", "odd" end, sink.null())
case("step, false", pump.step, function() return false end, function() return false end)
case("all", pump.all, source.table { "a" }, sink.null())
case("all, source fails", pump.all, source.error "E", sink.error "K")
case("all, sink says nil", pump.all, source.string "E", function() return nil end)
case("all, step fails", pump.all, source.table { "a" }, sink.null(), function() return nil, "S" end)
case("all nothing", pump.all)
case("all no sink", pump.all, print)
case("step nothing", pump.step)

-- filters
case("cycle", function()
  local f = filter.cycle(function(context, chunk, extra)
    return context .. tostring(chunk) .. tostring(extra), context .. "+"
  end, "C", "X")
  return f "a", f(nil)
end)
case("cycle nothing", filter.cycle)
several("filter.chain of one", 1, filter.chain(string.upper), "a")
case("filter.chain again after nil", function()
  local f = filter.chain(identity, function(chunk) return chunk and chunk:upper() end)
  return f "a", f "", f(nil), f "b"
end)
case("filter.chain, nil too early", function()
  return filter.chain(identity, script {}) "a"
end)

-- chains
case("source.chain nothing", source.chain)
case("source.chain without filter", source.chain, source.empty())
several("source.chain, filter says nil", 1, source.chain(source.table { "a", "b" }, script {}))
several("source.chain, source fails", 2, source.chain(source.error "E", script {}))
several("source.chain, filter keeps all", 1, source.chain(source.table { "a", "b" }, script { "", "", "ab" }))
case("sink.chain nothing", sink.chain)
case("sink.chain without sink", sink.chain, identity)
several("sink.chain, sink fails", 1, sink.chain(script { "x" }, sink.error "K"), "d")
several("sink.chain, empty piece", 1, sink.chain(error, sink.error "K"), "")
