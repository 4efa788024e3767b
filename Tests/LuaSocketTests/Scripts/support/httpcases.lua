-- Runs socket.http against scripted answers and prints what is sent, to whom, and what comes back.
local mock = require "mock"
local socket = require "socket"
local http = require "socket.http"
local ltn12 = require "ltn12"

local secure = { tcp = function(request) return socket.tcp, request end }
package.preload["ssl.https"] = function() return secure end

-- It names the version, which differs.
http.USERAGENT = "agent"

local function display(value)
  if type(value) == "string" then return mock.show(value) end
  if type(value) ~= "table" then return tostring(value) end
  local fields = {}
  for k, v in pairs(value) do fields[#fields + 1] = k .. "=" .. tostring(v) end
  table.sort(fields)
  return "{" .. table.concat(fields, "; ") .. "}"
end

local M = {}

function M.run(name, request, ...)
  local replies, used, log, body = { ... }, 0, mock.log(), nil
  local generic = type(request) == "table"
  local function creator(kind)
    return function()
      used = used + 1
      log:note(kind)
      return mock.new(replies[used] or "", log, generic and request.options)
    end
  end
  socket.tcp = creator "socket.tcp"
  if generic then
    if not request.sink and not request.nosink then request.sink, body = ltn12.sink.table() end
    if not request.nocreate then request.create = creator "create" end
  end
  print("== " .. name)
  local url, post = request, nil
  if not generic then url, post = request:match("^([^^]*)%^?(.*)$") if post == "" then post = nil end end
  local results = table.pack(pcall(http.request, url, post))
  for _, line in log:lines() do print("  " .. line) end
  if results[1] then
    for i = 2, results.n do print("  -> " .. display(results[i])) end
  else
    print("  -> ERROR")
  end
  if body then print("  body " .. mock.show(table.concat(body))) end
end

---------------------------------------------------------------- answers

function M.redirect(code, location)
  return "HTTP/1.1 " .. code .. " Moved\r\nLocation: " .. location .. "\r\nContent-Length: 4\r\n\r\nbody"
end
M.text = ltn12.source.string
M.H = "HTTP/1.1 200 OK\r\n"
M.ok = M.H .. "Content-Length: 5\r\nX: 1\r\n\r\nhelloEXTRA"

M.C = M.H .. "Transfer-Encoding: chunked\r\n\r\n"

return M
