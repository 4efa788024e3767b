-- Every method and function with wrong objects, wrong arguments, too few and too many of them.
local socket = require "socket"
local t = require "show"

local free = t.freePort()
local function objects()
  local client, accepted, server = t.pair()
  client:settimeout(0)
  server:settimeout(0)
  accepted:send("some\ndata")
  socket.select({client}, nil, 1)
  return {client = client, server = server, master = socket.tcp4(), accepted = accepted}
end

local methods = {
  accept = {"server"}, bind = {"master", "127.0.0.1", 0}, close = {"client"},
  connect = {"master", "127.0.0.1", free}, dirty = {"client"}, getfamily = {"client"}, getfd = {"client"},
  getoption = {"client", "keepalive"}, getpeername = {"client"}, getsockname = {"client"},
  getstats = {"client"}, setstats = {"client", 1, 2, 3}, listen = {"master", 5}, receive = {"client", 4, "ab"},
  send = {"client", "abc", 1, 2}, setfd = {"master", -1}, setoption = {"client", "keepalive", true},
  setpeername = {"master", "127.0.0.1", free}, setsockname = {"master", "127.0.0.1", 0},
  settimeout = {"client", 1, "t"}, gettimeout = {"client"}, shutdown = {"client", "send"},
}
local wrong = {
  {"nil", nil}, {"true", true}, {"false", false}, {"7", 7}, {"1.5", 1.5}, {"'7'", "7"}, {"'1x'", "1x"}, {"''", ""},
  {"{}", {}}, {"print", print}, {"thread", coroutine.create(print)}, {"file", io.stdout},
  {"client", "object"}, {"server", "object"}, {"master", "object"},
}
local names = {}
for name in pairs(methods) do names[#names + 1] = name end
table.sort(names)

-- Calls `object:name(...)` from source, so that messages name the method.
local function method(name, count)
  local list = {}
  for i = 1, count do list[i] = "a" .. i end
  local arguments = table.concat(list, ", ")
  return load(("local o%s = ...; return o:%s(%s)"):format(count > 0 and ", " .. arguments or "", name, arguments), "=call")
end

local function close(set)
  for _, s in pairs(set) do s:close() end
end

-- Host names that would be looked up by a name server.
local function isLookup(name, position, value)
  return position == 1 and (name == "bind" or name == "connect" or name:find "^set.*name$")
    and (type(value) == "string" or type(value) == "number")
end

local function result(name, label, body, ...)
  local results = table.pack(pcall(body, ...))
  if name == "getsockname" and results[1] then results[3] = math.tointeger(tonumber(results[3])) end
  if name == "getfd" and results[1] and results[2] >= 0 then results[2] = "<descriptor>" end
  if name == "getstats" and results[1] then results[4] = math.type(results[4]) end
  if results[1] then
    t.show(label, table.unpack(results, 2, results.n))
  else
    print(label .. " ! " .. t.common(tostring(results[2])))
  end
end

for _, name in ipairs(names) do
  local spec = methods[name]
  local kind, arguments, count = spec[1], {table.unpack(spec, 2)}, #spec - 1
  for _, class in ipairs {"client", "server", "master"} do
    local set = objects()
    result(name, class .. ":" .. name, method(name, count), set[class], table.unpack(arguments, 1, count))
    if name == "setfd" then set[class]:setfd(-1) end
    close(set)
  end
  for given = 0, count + 2 do
    local values = {table.unpack(arguments, 1, count)}
    for i = count + 1, given do values[i] = 7 end
    local set = objects()
    result(name, name .. " with " .. given, method(name, given), set[kind], table.unpack(values, 1, given))
    if name == "setfd" then set[kind]:setfd(-1) end
    close(set)
  end
  for position = 1, count do
    for _, case in ipairs(wrong) do
      local set = objects()
      local value = case[2]
      if value == "object" then value = set[case[1]] end
      if not isLookup(name, position, value) then
        local values = {table.unpack(arguments, 1, count)}
        values[position] = value
        result(name, name .. " #" .. position .. " " .. case[1], method(name, count), set[kind],
          table.unpack(values, 1, count))
      end
      if name == "setfd" then set[kind]:setfd(-1) end
      close(set)
    end
  end
  -- not an object at all
  local set = objects()
  local f = set.client[name]
  for _, case in ipairs(wrong) do
    if case[2] ~= "object" then
      t.try(name .. " of " .. case[1], function() return (f)(case[2]) end)
    end
  end
  close(set)
  t.try(name .. " of nothing", function() return (f)() end)
  t.try(name .. " of a table with class", function() return (f)({class = "tcp{client}"}) end)
  t.try(name .. " of an impostor", function() return (f)(setmetatable({}, getmetatable(set.client))) end)
end

-- the module's functions
for _, case in ipairs(wrong) do
  if case[2] ~= "object" then
    local value = case[2]
    if type(value) ~= "string" and type(value) ~= "number" then
      t.try("connect host " .. case[1], function() return (socket.connect(value, free)) end)
      t.show("bind host " .. case[1], (pcall(socket.bind, value, 0)))
      t.try("toip " .. case[1], function() return (socket.dns.toip(value)) end)
      t.show("connect4 host " .. case[1], (pcall(socket.connect4, value, free)))
    end
    t.try("connect port " .. case[1], function() return (socket.connect("127.0.0.1", value)) end)
    t.try("connect family " .. case[1], function() return (socket.connect("127.0.0.1", free, nil, nil, value)) end)
    t.try("connect local port " .. case[1], function() return (socket.connect("127.0.0.1", free, "127.0.0.1", value)) end)
    t.show("bind port " .. case[1], (pcall(socket.bind, "127.0.0.1", value)))
    collectgarbage()
    if type(value) ~= "number" and value ~= "7" then
      t.try("sleep " .. case[1], function() return socket.sleep(value) end)
    end
  end
end
t.try("connect", function() return socket.connect() end)
t.try("connect host only", function() return socket.connect("127.0.0.1") end)
t.try("connect wrong local host", function() return socket.connect("127.0.0.1", free, {}) end)
t.try("connect all wrong", function() return socket.connect({}, {}, {}, {}, {}) end)
t.try("connect last wrong", function() return socket.connect("127.0.0.1", free, nil, {}, {}) end)
t.try("connect extra", function() return (socket.connect("127.0.0.1", free, nil, nil, nil, 1, 2)) end)
t.show("bind", (pcall(socket.bind)))
t.show("bind backlog", (pcall(socket.bind, "127.0.0.1", 0, {})))
t.show("bind backlog", (pcall(socket.bind, "127.0.0.1", 0, "x")))
t.show("bind backlog", (pcall(socket.bind, "127.0.0.1", 0, "5")))
