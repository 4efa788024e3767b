-- Every method of every class, called on objects of every class, with arguments of every type in
-- every place, and with random lists of them.
local socket = require "socket"
local unix = require "socket.unix"
local serial = require "socket.serial"
local t = require "show"

local folder = os.tmpname()
os.remove(folder)
assert(os.execute("mkdir " .. folder .. " && mkfifo " .. folder .. "/pipe"))
local count = 0
local function path()
  count = count + 1
  return folder .. "/" .. count
end
local free = t.freePort()

local make = {}
function make.tcpClient() return (t.pair()) end
function make.tcpServer() return (t.listener()) end
make.tcpMaster = socket.tcp4
make.tcpUnborn = socket.tcp
function make.udpUnconnected()
  local s, port
  repeat
    s = socket.udp4()
    s:setsockname("127.0.0.1", 0)
    port = tonumber((select(2, s:getsockname())))
    -- Among thousands of sockets one may get the number that stands for an invalid one.
  until port ~= tonumber(free)
  t.port(port, "udp")
  return s
end
function make.udpConnected()
  local s = make.udpUnconnected()
  s:setpeername("127.0.0.1", free)
  return s
end
make.udpUnborn = socket.udp
function make.unixServer()
  local s = unix.stream()
  local where = path()
  assert(s:bind(where) and s:listen())
  return s, where
end
function make.unixClient()
  local server, where = make.unixServer()
  local s = unix.stream()
  assert(s:connect(where))
  return s, server
end
make.unixMaster = unix.stream
make.unixUnconnected = unix.dgram
function make.unixConnected()
  local peer, s = unix.dgram(), unix.dgram()
  local where = path()
  assert(peer:bind(where) and s:connect(where))
  return s, peer
end
function make.serial() return serial(folder .. "/pipe") end

local kinds = {}
for name in pairs(make) do kinds[#kinds + 1] = name end
table.sort(kinds)

local values = {
  {"nil", nil}, {"true", true}, {"false", false}, {"0", 0}, {"7", 7}, {"1.5", 1.5}, {"-1", -1}, {"'7'", "7"}, {"'x'", "x"},
  {"'*'", "*"}, {"'*l'", "*l"}, {"'*a'", "*a"}, {"'b'", "b"}, {"''", ""},
  {"'127.0.0.1'", "127.0.0.1"}, {"'a\\0b'", "a\0b"}, {"{}", {}},
  {"print", print}, {"thread", coroutine.create(print)}, {"file", io.stdout}, {"'keepalive'", "keepalive"},
  {"'linger'", "linger"}, {"'broadcast'", "broadcast"}, {"'send'", "send"},
}

-- What is not asked: a name server; what is not defined in C; a NUL inside of names, which end
-- there for LuaSocket and are refused by ours.
local names = {connect = 2, bind = 2, setpeername = 2, setsockname = 2, sendto = 4}
local function isAsked(kind, name, position, value)
  local isInternet = kind:find "^tcp" or kind:find "^udp"
  if isInternet and names[name] and position < names[name] and type(value) == "string" then
    return value == "127.0.0.1" or value == "*" and name ~= "connect" and kind:find "^udp"
  end
  if isInternet and names[name] and value == "a\0b" then return false end
  if isInternet and names[name] and position == 1 and type(value) == "number" then return false end
  if name:find "^receive" and kind:find "onnected" and (tonumber(value) or 0) < 0 then return false end
  return not (name == "setfd" and tonumber(value) and tonumber(value) >= 0)
end

-- Values that differ from run to run.
local volatile = {getfd = true, getstats = true}
local function run(label, kind, name, ...)
  local s, other = make[kind]()
  s:settimeout(0)
  local results = table.pack(pcall(s[name], s, ...))
  if results[1] and volatile[name] then results = {true, type(results[2]), n = 2} end
  if results[1] and name == "getsockname" then results[3] = math.tointeger(tonumber(results[3])) end
  for i = 2, results.n do
    if type(results[i]) == "string" then results[i] = results[i]:gsub(folder .. "/%d+", "<path>") end
  end
  t.show(label, table.unpack(results, 1, results.n))
  t.show("  now", s.class, s:getfd() >= 0)
  s:close()
  if type(other) == "userdata" then other:close() end
  -- Unix sockets that were bound leave files.
  for _, value in ipairs(values) do
    local kind = type(value[2])
    if kind == "string" or kind == "number" then os.remove(tostring(value[2])) end
  end
end

local function methods(kind)
  local s = make[kind]()
  local list = {}
  for name, method in pairs(getmetatable(s).__index) do
    if type(method) == "function" then list[#list + 1] = name end
  end
  s:close()
  table.sort(list)
  return list
end

math.randomseed(3)
for _, kind in ipairs(kinds) do
  for _, name in ipairs(methods(kind)) do
    -- Without a socket LuaSocket returns an empty datagram.
    if kind == "udpUnborn" and name:find "^receive" then goto continue end
    run(kind .. ":" .. name .. "()", kind, name)
    for position = 1, 3 do
      for _, value in ipairs(values) do
        if isAsked(kind, name, position, value[2]) then
          local arguments = {"127.0.0.1", "7", "7"}
          if not kind:find "^[tu][cd]p" then arguments = {"x", "7", "7"} end
          arguments[position] = value[2]
          run(("%s:%s #%d %s"):format(kind, name, position, value[1]), kind, name, table.unpack(arguments, 1, position))
        end
      end
    end
    for _ = 1, 12 do
      local arguments, labels, isFine = {n = math.random(0, 5)}, {}, true
      for i = 1, arguments.n do
        local value = values[math.random(#values)]
        arguments[i], labels[i] = value[2], value[1]
        isFine = isFine and isAsked(kind, name, i, value[2])
      end
      if isFine then
        run(("%s:%s(%s)"):format(kind, name, table.concat(labels, ", ")), kind, name, table.unpack(arguments, 1, arguments.n))
      end
    end
    ::continue::
  end
end

-- Methods of one class on objects of the others, and on what is no object.
for _, kind in ipairs(kinds) do
  local s = make[kind]()
  for _, name in ipairs(methods(kind)) do
    for _, otherKind in ipairs(kinds) do
      local other = make[otherKind]()
      if not getmetatable(other).__index[name] or s.class:match "^%w+" ~= other.class:match "^%w+" then
        t.try(kind .. ":" .. name .. " of " .. otherKind, s[name], other, "127.0.0.1", 7)
      end
      other:close()
    end
    for _, value in ipairs(values) do
      t.try(kind .. ":" .. name .. " of " .. value[1], s[name], value[2])
    end
    t.try(kind .. ":" .. name .. " of nothing", s[name])
    t.try(kind .. ":" .. name .. " of an impostor", s[name], setmetatable({class = s.class}, {__index = s}))
  end
  s:close()
end
os.execute("rm -r " .. folder)
