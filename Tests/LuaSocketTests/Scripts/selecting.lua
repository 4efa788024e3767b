local socket = require "socket"
local t = require "show"

local a, b, server = t.pair()
local named = {[a] = "a", [b] = "b", [server] = "server"}

local function set(list)
  if type(list) ~= "table" then return tostring(list) end
  local parts = {}
  for i, s in ipairs(list) do
    parts[#parts + 1] = i .. "=" .. (named[s] or tostring(s.name)) .. "@" .. tostring(list[s])
  end
  local others = 0
  for key in pairs(list) do
    if math.type(key) ~= "integer" then others = others + 1 end
  end
  return "{" .. table.concat(parts, " ") .. "}+" .. others
end
local function run(label, ...)
  local r, w, err = socket.select(...)
  print(label, set(r), set(w), err, select("#", socket.select(...)))
end

run("nothing", nil, nil, 0)
run("empty", {}, {}, 0)
run("no timeout needed", {}, {a})
run("idle", {a, b, server}, nil, 0)
run("writable", nil, {a, b}, 0)
run("writable, other order", nil, {b, a}, 0)
run("listener is not writable", nil, {server}, 0)
run("both", {a, b}, {a, b}, 0)
b:send("one\ntwo\n")
socket.select({a}, nil, 30)
run("readable", {a, b}, nil, 0)
run("readable, for ever", {a, b})
run("readable and writable", {a, b}, {a, b}, 0)
t.show("line", a:receive())
run("dirty", {a, b}, nil, 0)
run("dirty does not wait", {b, a}, nil, 60)
run("dirty, and writable", {a, b}, {b, a}, 60)
t.show("line", a:receive())
run("clean", {a, b}, nil, 0)

-- a connection that waits to be accepted
local c = socket.connect("127.0.0.1", (select(2, server:getsockname())))
named[c] = "c"
run("acceptable", {server, a}, nil, 30)
server:accept():close()
run("closed by the peer", {c, a}, nil, 30)
run("closed by the peer, writable", {c, a}, {c}, 30)
a:send("x")
b:send("y")
socket.select({b}, nil, 30)
socket.select({a}, nil, 30)
run("sorted by descriptor", {c, b, a, server}, {b, c, a}, 30)
run("twice", {a, a, b}, {b, b}, 30)
b:receive(1)
a:receive(1)
c:close()
run("closed object", {c}, nil, 0)
run("closed object and another", {c, a}, {c, b}, 0)
run("a hole", {a, nil, b}, {b, nil, a}, 0)
run("strings have no getfd", {"x"}, {"y"}, 0)
run("fields are ignored", {x = a}, {y = a}, 0)

-- timeouts
local start = socket.gettime()
run("times out", {a}, nil, 0.03)
t.show("waited", socket.gettime() - start >= 0.028)
run("as string", {a}, nil, "0")
run("nil waits", nil, {a}, nil)
run("negative waits", nil, {a}, -1)

-- foreign objects
local function foreign(name, fields)
  fields.name = name
  return fields
end
local fd = b:getfd()
a:send("for b")
socket.select({b}, nil, 30)
local watcher = foreign("watcher", {getfd = function() return fd end, dirty = function() return false end})
run("foreign", {watcher}, {watcher}, 0)
run("foreign without dirty", {foreign("plain", {getfd = function() return fd end})}, nil, 0)
run("foreign, dirty", {foreign("dirty", {getfd = function() return a:getfd() end, dirty = function() return 1 end})}, nil, 0)
run("dirty without descriptor", {foreign("none", {getfd = function() return -1 end, dirty = function() return true end})}, nil, 0)
run("descriptor as string", {foreign("string", {getfd = function() return tostring(fd) end})}, nil, 0)
run("descriptor nil", {foreign("nil", {getfd = function() end})}, nil, 0)
run("descriptor negative", {foreign("negative", {getfd = function() return -5 end})}, nil, 0)
run("descriptor table", {foreign("table", {getfd = function() return {} end})}, nil, 0)
run("no getfd", {foreign("no", {})}, {foreign("no", {})}, 0)
run("by metamethod", {setmetatable({name = "meta"}, {__index = watcher})}, nil, 0)
run("list by metamethod", setmetatable({}, {__index = function(_, i) return i == 1 and b or nil end}), nil, 0)
t.try("getfd fails", socket.select, {{getfd = function() error("no", 0) end}}, nil, 0)
t.try("dirty fails", socket.select, {{getfd = function() return fd end, dirty = function() error({}) end}}, nil, 0)
t.try("getfd is no function", socket.select, {{getfd = 1}}, nil, 0)
t.try("list fails", socket.select, setmetatable({}, {__index = function() error("no", 0) end}), nil, 0)
t.try("yields", coroutine.wrap(function() return socket.select({{getfd = coroutine.yield}}, nil, 0) end))

-- wrong arguments
for _, wrong in ipairs {1, "x", true, print, a} do
  t.try("reading " .. type(wrong), function() return socket.select(wrong, nil, 0) end)
  t.try("writing " .. type(wrong), function() return socket.select(nil, wrong, 0) end)
  t.try("element " .. type(wrong), function() return #socket.select({wrong}, nil, 0) end)
  t.try("timeout " .. type(wrong), function() return socket.select(nil, {a}, wrong) end)
end
t.try("more arguments", function() return #socket.select(nil, nil, 0, 1, 2, 3) end)
