-- `milonga serve FILE.lua [--port N] [--interface I]`: what the file returns, for tango clients.

local tango = require "tango"

local function leave(status, text)
  io.stderr:write("milonga serve: ", text, "\n")
  os.exit(status)
end

local usage = [[
usage: milonga serve FILE.lua [--port N] [--interface I] [--codec tango|msgpack|json] [--writable]
]]

local options, file = {port = "12345", interface = "127.0.0.1", codec = "tango"}, nil
local index = 1
while index <= #arg do
  local word = arg[index]
  if word == "--help" or word == "-h" then
    io.stdout:write(usage)
    os.exit(0)
  elseif word == "--writable" then
    options.writable = true
  elseif word == "--port" or word == "--interface" or word == "--codec" then
    index = index + 1
    options[word:sub(3)] = arg[index] or leave(2, ("'%s' needs argument\n%s"):format(word, usage))
  elseif word:find "^%-." then
    leave(2, ("unrecognized option '%s'\n%s"):format(word, usage))
  elseif file then
    leave(2, "one file only\n" .. usage)
  else
    file = word
  end
  index = index + 1
end
if not file then leave(2, "a file is needed\n" .. usage) end
local codec = tango.codec[options.codec]
if not codec then leave(2, ("there is no codec '%s': tango, msgpack or json"):format(options.codec)) end

-- The file is a script: it sees its own name and no arguments of ours.
arg = {[0] = file}
local chunk, reason = loadfile(file)
if not chunk then leave(1, reason) end
local functab = chunk()
if type(functab) ~= "table" then
  leave(1, ("%s must return a table of what clients may use, not %s"):format(file, type(functab)))
end

-- All names that clients may use, so that `milonga call` can tell a name that is not there from a
-- variable that is nil.
local function names()
  local list, seen, count = {}, {}, 0
  local function add(prefix, t)
    if seen[t] then return end
    seen[t] = true
    for name, value in next, t do
      if type(name) == "string" and count < 10000 then
        count = count + 1
        list[prefix .. name] = true
        if type(value) == "table" then add(prefix .. name .. ".", value) end
      end
    end
  end
  add("", functab)
  return list
end
if rawget(functab, "milonga") == nil then rawset(functab, "milonga", {names = names}) end

local copas = require "copas"
local ok, server, handler = pcall(tango.server.copas_socket.new, {
  port = options.port, interface = options.interface, functab = functab,
  write_access = options.writable or false,
  serialize = codec.encode, unserialize = codec.decode})
if not ok then leave(1, (server:gsub("^=?milonga/serve%.lua:%d+: ", ""))) end
copas.addserver(server, handler)
io.stdout:write(("listening on %s:%d\n"):format(server:getsockname()))
io.stdout:flush()
copas.loop()
