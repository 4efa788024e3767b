-- Runs socket.smtp against scripted answers and prints what is sent, to whom, and what comes back.
local mock = require "mock"
local smtp = require "socket.smtp"
local socket = require "socket"
local ltn12 = require "ltn12"

socket._VERSION = "version" -- messages name it; it differs

local M = {}

function M.run(name, mail, reply)
  local log = mock.log()
  mail.create = function() return mock.new(reply, log, mail.options, "") end
  print("== " .. name)
  local results = table.pack(pcall(smtp.send, mail))
  for _, line in log:lines() do print("  " .. line) end
  if results[1] then
    for i = 2, results.n do print("  -> " .. tostring(results[i])) end
  else
    print("  -> ERROR")
  end
end

function M.text(s) return ltn12.source.string(s or "hello\r\n.\r\nbye") end
M.G = "220 hi\r\n250-me\r\n250-AUTH PLAIN LOGIN\r\n250 OK\r\n"
M.E = "250 from\r\n250 rcpt\r\n354 go\r\n250 done\r\n221 bye\r\n"
M.A = "235 auth ok\r\n"
function M.mail(fields)
  local m = { from = "<a@b>", rcpt = "<c@d>", source = M.text() }
  for k, v in pairs(fields or {}) do m[k] = v end
  return m
end

M.login = { user = "u", password = "p" }

-- messages
-- Boundaries by their order, because they are random.
local function canonical(s, boundaries)
  local function number(b)
    if not boundaries[b] then
      boundaries[b] = "B" .. boundaries.count
      boundaries.count = boundaries.count + 1
    end
    return boundaries[b]
  end
  s = s:gsub("%d+==%d+", number):gsub("=_%x+", number)
  return (s:gsub("%a%a%a, %d%d %a%a%a %d+ %d+:%d+:%d+", "DATE"))
end
local function sorted(s)
  local head, tail = s:match("^(.-)\r\n(\r\n)$")
  if not head then return s end
  local lines = {}
  for line in (head .. "\r\n"):gmatch("(.-)\r\n") do lines[#lines + 1] = line end
  table.sort(lines)
  return table.concat(lines, "\r\n") .. "\r\n" .. tail
end
function M.show(name, message)
  print("== " .. name .. " (message)")
  local ok, source = pcall(smtp.message, message)
  if not ok then return print("  ERROR") end
  local boundaries = { count = 0 }
  for _ = 1, 100 do
    local ok, chunk, err = pcall(source)
    if not ok then return print("  ERROR") end
    print("  " .. mock.show(tostring(chunk and canonical(sorted(tostring(chunk)), boundaries))), err)
    if not chunk then return end
  end
end

return M
