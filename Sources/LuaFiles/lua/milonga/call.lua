-- `milonga call HOST:PORT PATH [ARGS...]`: a tango call from the shell.

local tango = require "tango"

local function leave(status, text)
  io.stderr:write("milonga call: ", text, "\n")
  os.exit(status)
end

local usage = [[
usage: milonga call [--json] [--timeout S] [--codec tango|msgpack|json] HOST:PORT PATH [ARGS...]
]]

local options, words = {timeout = 30, codec = "tango"}, {}
local index = 1
while index <= #arg do
  local word = arg[index]
  -- Behind the path everything is an argument, such as -1.
  if #words >= 2 or not word:find "^%-" then
    words[#words + 1] = word
  elseif word == "--json" then
    options.json = true
  elseif word == "--help" or word == "-h" then
    io.stdout:write(usage)
    os.exit(0)
  elseif word == "--timeout" or word == "--codec" then
    index = index + 1
    options[word:sub(3)] = arg[index] or leave(2, ("'%s' needs argument\n%s"):format(word, usage))
  else
    leave(2, ("unrecognized option '%s'\n%s"):format(word, usage))
  end
  index = index + 1
end
if #words < 2 then leave(2, "the server and the path of a function are needed\n" .. usage) end

local timeout = tonumber(options.timeout)
if not timeout then leave(2, ("'%s' is no number of seconds"):format(options.timeout)) end
local codec = tango.codec[options.codec]
if not codec then leave(2, ("there is no codec '%s': tango, msgpack or json"):format(options.codec)) end

local address, path = words[1], words[2]
local arguments = {n = #words - 2}
for i = 1, arguments.n do
  local text = words[i + 2]
  local ok, value = pcall(tango.codec.tango.decode, text)
  if not ok then
    leave(2, ("argument #%d, %s, is no Lua literal; a string needs quotes of its own: '\"%s\"'"):format(i, text, text))
  end
  arguments[i] = value
end

local configuration = {timeout = timeout, serialize = codec.encode, unserialize = codec.decode}
local connect
if address:find "^%a+://" then
  configuration.url, connect = address, tango.client.zmq.connect
else
  local host, port = address:match "^%[?(.-)%]?:(%d+)$"
  if not host then leave(2, ("'%s' is no HOST:PORT"):format(address)) end
  configuration.address, configuration.port = host ~= "" and host or nil, tonumber(port)
  connect = tango.client.socket.connect
end

-- Writes an error: a text as it is, another value like a result.
local function describe(value)
  if type(value) == "string" then return (value:gsub("^=?milonga/call%.lua:%d+: ", "")) end
  local ok, text = pcall(tango.codec.tango.encode, value)
  return ok and text or tostring(value)
end

local ok, con = pcall(connect, configuration)
if not ok then leave(1, describe(con)) end
-- A connection has functions of its own, but none of its futures has.
local results = table.pack(pcall(function()
  return con.async[path](table.unpack(arguments, 1, arguments.n)):get()
end))
if not results[1] then leave(1, describe(results[2])) end

-- A server of `milonga serve` knows its names. Other servers answer nil here, too, and tell
-- nothing.
local function ismissing()
  local known, names = pcall(function() return con.async["milonga.names"]():get() end)
  return known and type(names) == "table" and not names[path]
end
if arguments.n == 0 and results.n == 2 and results[2] == nil and path ~= "milonga.names" and ismissing() then
  leave(1, ("there is no '%s' on %s"):format(path, address))
end

local encode = options.json and tango.codec.json.encode or tango.codec.tango.encode
for i = 2, results.n do
  local written, text = pcall(encode, results[i])
  if not written then leave(1, ("result #%d: %s"):format(i - 1, describe(text))) end
  io.stdout:write(text, "\n")
end
tango.close(con)
