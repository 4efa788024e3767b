-- newtry, protect, try and skip.
local socket = require "socket"
local t = require "show"

local try = socket.try
t.show("one table", package.loaded.socket == require "socket.core")
t.try("try", try, 1, 2, 3)
t.try("try without failure", try, true, nil, "x")
t.show("try of nothing", pcall(socket.protect(try)))

local function failing(...)
  local arguments = table.pack(...)
  return socket.protect(function() try(table.unpack(arguments, 1, arguments.n)) end)
end
t.show("nil and error", failing(nil, "error")())
t.show("false and error", failing(false, "error", "more")())
t.show("nil alone", failing(nil)())
t.show("error that is a table", failing(nil, { 1, 2 })())
t.show("error that is false", failing(nil, false)())

local protected = socket.protect(function(...) return ... end)
t.show("results", protected(1, nil, "x", nil))
t.show("no results", protected())
for _, value in ipairs { "text", 5, true, { "table" } } do
  local raise = socket.protect(function() error(value, 0) end)
  local ok, caught = pcall(raise)
  t.show("other errors pass", ok, caught == value, caught)
end
t.show("nil passes", pcall(socket.protect(function() error() end)))
local own = setmetatable({ "looks like one" }, { __metatable = false })
t.show("another metatable", select(2, pcall(socket.protect(function() error(own) end))) == own)

-- what try raises without a protected function
local ok, raised = pcall(try, nil, "error")
t.show("raised", ok, type(raised), raised[1], #raised, getmetatable(raised))
t.show("raised twice", socket.protect(function() error(raised) end)())
t.show("metatable is protected", pcall(setmetatable, raised, nil))

-- finalizers
local log = {}
local careful = socket.newtry(function(...) log[#log + 1] = select("#", ...) end)
t.show("finalizer is not called", careful("fine", 1), #log)
t.show("finalizer is called", socket.protect(careful)(nil, "error"))
t.show("without arguments", log)
t.show("finalizer fails", pcall(socket.protect(socket.newtry(function() error("broken", 0) end)), nil, "error"))
t.show("finalizer tries", socket.protect(socket.newtry(function() try(nil, "inner") end))(nil, "outer"))
t.show("finalizer protects", socket.protect(socket.newtry(function() failing(nil, "inner")() end))(nil, "outer"))
t.show("finalizer that is called", (function()
  local calls = 0
  local object = setmetatable({}, { __call = function() calls = calls + 1 end })
  socket.protect(socket.newtry(object))(nil, "error")
  return calls
end)())
for _, wrong in ipairs { 5, "x", false } do
  t.show("wrong finalizer", (pcall(socket.newtry(wrong), nil, "error")))
end

-- protect inside protect
t.show("nested", socket.protect(function()
  local inner = table.pack(failing(nil, "inner")())
  try(nil, "outer after " .. tostring(inner[2]))
end)())
t.show("protect of a callable", socket.protect(setmetatable({}, { __call = function(_, x) return x end }))(7))
t.show("protect of nothing", (pcall(socket.protect())))
t.show("protect of a number", (pcall(socket.protect(5))))
t.show("deep", (function()
  local f = function() return "bottom" end
  for _ = 1, 50 do f = socket.protect(f) end
  return f()
end)())

-- yields
local co = coroutine.wrap(socket.protect(function(first)
  local second = coroutine.yield(first .. "!")
  local third = coroutine.yield(second .. "!")
  try(nil, third)
end))
t.show("yields", co "one")
t.show("yields", co "two")
t.show("yields", co "three")
co = coroutine.wrap(socket.protect(function() return coroutine.yield(1), coroutine.yield(2) end))
t.show("results after yields", co(), co "a", co "b")
co = coroutine.create(socket.protect(function() error(coroutine.yield()) end))
coroutine.resume(co)
t.show("error after yield", coroutine.resume(co, { "e" }))
t.show("error kills", coroutine.status(co))

-- skip
t.show("skip", socket.skip(1, "a", "b", "c"))
t.show("skip none", socket.skip(0, "a", nil))
t.show("skip all", socket.skip(3, "a", "b", "c"))
t.show("skip more", socket.skip(9, "a"))
t.show("skip of nothing", socket.skip(1))
t.show("skip numerals", socket.skip("1", "a", "b"))
t.try("skip without count", function() return socket.skip() end)
t.try("skip a half", function() return socket.skip(1.5, "a") end)
t.try("skip a table", function() return socket.skip({}, "a") end)
t.show("unload", socket.__unload())
