-- Every public name of every module, and every method of its objects, has an annotation in
-- share/lua-types, and what is annotated exists.
local socket = require "socket"
local mock = require "mock"

local folder = arg[0]:match "^(.*)/Tests/" .. "/share/lua-types/"
local files = {
  "copas", "copas/ftp", "copas/future", "copas/http", "copas/lock", "copas/queue", "copas/semaphore",
  "copas/smtp", "copas/timer", "ltn12", "luatobin", "mime", "mime/core", "rpc", "socket",
  "socket/ftp", "socket/headers", "socket/http", "socket/serial", "socket/smtp", "socket/tp", "socket/unix", "socket/url",
  "tango", "xpio",
}

---------------------------------------------------------------- what is annotated

local classes = {} -- name: { names = { name: true }, parents = { class name, ... } }

local function class(name)
  classes[name] = classes[name] or { names = {}, parents = {} }
  return classes[name]
end

-- A class begins with `---@class`; its fields follow, and a variable whose functions are its own.
local function read(path)
  assert(loadfile(path))
  local current, pending, variables = nil, false, {}
  for line in io.lines(path) do
    local name, parents = line:match "^%-%-%-@class ([%w._]+):?%s*(.*)$"
    local field = line:match "^%-%-%-@field ([%w_]+)"
    local variable = line:match "^local ([%w_]+)"
    local owner, method = line:match "^function ([%w_]+)[.:]([%w_]+)%("
    if not owner then owner, method = line:match "^([%w_]+)%.([%w_]+) =" end
    if name then
      current, pending = class(name), true
      for parent in parents:gmatch "[%w._]+" do table.insert(current.parents, parent) end
    elseif field then
      current.names[field] = true
    elseif variable and pending then
      variables[variable], pending = current, false
    elseif owner then
      assert(variables[owner], path .. ": " .. line).names[method] = true
    end
  end
end
for _, file in ipairs(files) do read(folder .. file .. ".lua") end

---------------------------------------------------------------- what there is

local missing = {}

local function annotated(name, key)
  local found = classes[name]
  if not found then return false end
  if found.names[key] then return true end
  for _, parent in ipairs(found.parents) do
    if annotated(parent, key) then return true end
  end
  return false
end

local function inany(names, key)
  for name in names:gmatch "%S+" do
    if annotated(name, key) then return true end
  end
end

-- Compares a table of functions and values with one or more classes, one of which has to know a
-- name. Names in `absent` need not be there.
local function compare(names, t, absent)
  for key in pairs(t) do
    local private = tostring(key):find "^__"
    if not private and not inany(names, key) then
      missing[#missing + 1] = names .. ": no annotation for " .. tostring(key)
    end
  end
  for name in names:gmatch "%S+" do
    for key in pairs(class(name).names) do
      if t[key] == nil and not (absent or ""):find("%f[%w_]" .. key .. "%f[^%w_]") then
        missing[#missing + 1] = name .. ": no " .. key
      end
    end
  end
end

-- Objects of several classes share their methods: those of the wrong class fail when they are
-- called.
local function methods(names, object, absent)
  compare(names, getmetatable(object).__index, absent)
end

for _, name in ipairs { "headers", "http", "ftp", "smtp", "tp", "url" } do
  compare("socket." .. name, require("socket." .. name), "PROXY")
end
for _, name in ipairs { "http", "ftp", "smtp" } do
  compare("copas." .. name, require("copas." .. name), "PROXY")
end
local copas = require "copas"
compare("copas", copas, "future lock queue semaphore timer")
compare("copas.debug", copas.debug)
copas.autoclose = true
for _, name in ipairs { "lock", "queue", "semaphore", "timer" } do compare("copas." .. name, copas[name], "name") end
compare("copas.future.module", copas.future)
compare("copas.future", getmetatable(copas.future.addthread(print)).__index)
compare("copas.socket", getmetatable(copas.wrap(socket.tcp())).__index, "socket sendto setpeername setsockname")
compare("copas.socket", getmetatable(copas.wrap(socket.udp())).__index, "socket dohandshake getalpn getsniname sni ssl_params")
copas.cancelall()
compare("socket", socket, "_DEBUG")
compare("socket.dns", socket.dns)
compare("socket.unix", require "socket.unix")
compare("mime", require "mime")
local ltn12 = require "ltn12"
compare("ltn12", ltn12)
for _, name in ipairs { "filter", "source", "sink", "pump" } do compare("ltn12." .. name .. "s", ltn12[name]) end

methods("socket.tcp.master socket.tcp.server socket.tcp.client", socket.tcp())
methods("socket.udp.unconnected socket.udp.connected", socket.udp())
methods("socket.unix.master", require("socket.unix").stream())
methods("socket.unix.dgram", require("socket.unix").dgram())

local xpio = require "xpio"
compare("xpio", xpio)
methods("xpio.socket", xpio.socket("TCP"))
methods("xpio.tqueue", xpio.tqueue())
methods("xpio.process", xpio.spawn({"true"}, {}, {}))

local tango = require "tango"
compare("tango", tango)
for _, name in ipairs { "json", "msgpack", "tango" } do compare("tango.Codec", tango.codec[name], "null") end
compare("tango.SocketClient", tango.client.socket)
compare("tango.ZMQClient", tango.client.zmq)
compare("tango.CopasServer", tango.server.copas_socket)
compare("tango.EventServer", tango.server.ev_socket)
compare("tango.ZMQServer", tango.server.zmq)
local events = tango.server.ev_socket.new { port = 0, functab = {} }
methods("tango.EventListener", events)
local con = tango.client.socket.connect { port = (select(2, events:getsockname())) }
methods("tango.Future", con.async.x())
tango.close(con)
events:stop()

compare("luatobin", require "luatobin")
local rpc = require "rpc"
compare("rpc", rpc)
local listener = assert(socket.bind("127.0.0.1", 0))
local peer = assert(rpc.newclient("127.0.0.1", (select(2, listener:getsockname()))))
methods("rpc.peer", peer, "skt id")
peer:close()
listener:close()

local function create() return mock.new("", mock.log()) end
methods("socket.http.connection", socket.http.open("h", 1, create), "c try")
methods("socket.ftp.session", socket.ftp.open("h", 1, create), "tp try data server pasvt")
methods("socket.smtp.session", socket.smtp.open("h", 1, create), "tp try")
methods("socket.tp.connection", socket.tp.connect("h", 1, nil, create), "c timeout")

table.sort(missing)
assert(#missing == 0, "\n" .. table.concat(missing, "\n"))
