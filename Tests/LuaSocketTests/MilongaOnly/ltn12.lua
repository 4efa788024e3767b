-- ltn12 where it does something else than LuaSocket, which is said after the name.
local ltn12 = require "ltn12"
local source, filter = ltn12.source, ltn12.filter
local calls = require "calls"
local case, times = calls.case, calls.times

case("read error: stock takes it for the end",
  function() return times(1, source.file { read = function() return nil, "broken" end, close = function() end }) end)
case("simplify, error: stock calls the message",
  function() return times(2, source.simplify(function() return nil, "E" end)) end)
case("filter.chain nothing: stock's calls nil", function() return times(2, filter.chain()) end)
case("source.chain after its end: stock raises an error",
  function() return times(4, source.chain(source.table { "a" }, function(c) return c end)) end)
