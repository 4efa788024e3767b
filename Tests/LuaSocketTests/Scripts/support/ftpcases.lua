-- Runs socket.ftp against scripted answers and prints what is sent, to whom, and what comes back.
local mock = require "mock"
local socket = require "socket"
local ftp = require "socket.ftp"
local ltn12 = require "ltn12"

local function display(value)
  return type(value) == "string" and mock.show(value) or tostring(value)
end

-- The objects here have no descriptors.
socket.select = function() return {} end

local M = {}

function M.run(name, verb, request, ...)
  local replies, used, log, body = { ... }, 0, mock.log(), nil
  local generic = type(request) == "table"
  local function creator(kind)
    return function()
      used = used + 1
      log:note(kind)
      return mock.new(replies[used] or "", log, generic and request.options, used .. " ")
    end
  end
  socket.tcp = creator "socket.tcp"
  if generic and not request.nocreate then
    request.create = creator "create"
    if verb == "get" and not request.sink and not request.nosink then request.sink, body = ltn12.sink.table() end
  end
  print("== " .. name)
  local content
  if not generic then
    local text = request
    request, content = text:match("^([^^]*)%^?(.*)$")
  end
  local results = table.pack(pcall(ftp[verb], request, content))
  for _, line in log:lines() do print("  " .. line) end
  if results[1] then
    for i = 2, results.n do print("  -> " .. display(results[i])) end
  else
    print("  -> ERROR")
  end
  if body then print("  body " .. mock.show(table.concat(body))) end
end

M.L = "220 hi\r\n331 pw\r\n230 ok\r\n"
M.T = "200 type\r\n"
M.E = "229 Entering (|||5555|)\r\n"
M.D = "150 opening\r\n226 done\r\n221 bye\r\n"

return M
