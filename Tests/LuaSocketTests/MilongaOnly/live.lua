-- http, ftp and smtp over TCP: what only Milonga does, and all of it under the dispatcher.
local copas = require "copas"
local socket = require "socket"
local http = require "socket.http"
local ftp = require "socket.ftp"
local smtp = require "socket.smtp"
local ltn12 = require "ltn12"
local servers = require "servers"

http.TIMEOUT, ftp.TIMEOUT, smtp.TIMEOUT = 10, 10, 10

---------------------------------------------------------------- ftp: PASV, PORT and EPRT

local ftpport, stopftp = servers.start "ftp"

local function transfer(fields)
  fields.host, fields.port = "127.0.0.1", ftpport
  local out = {}
  fields.sink = ltn12.sink.table(out)
  assert(ftp.get(fields))
  return table.concat(out)
end

local text = "one\r\ntwo\r\n"
assert(transfer { user = "old", path = "index.txt" } == text) -- does not know EPSV
assert(transfer { path = "index.txt", active = true } == text)
assert(#transfer { path = "big", active = true } == 300000)
assert(ftp.put {
  host = "127.0.0.1", port = ftpport, path = "new", active = true, source = ltn12.source.string "abc",
} == 3)
assert(transfer { path = "new" } == "abc")

-- Who connects in the server's place is sent away.
local session = ftp.open("127.0.0.1", ftpport)
session:greet()
session:login()
session:port()
local stranger = socket.tcp()
stranger:bind("127.0.0.2", 0)
assert(stranger:connect(session.server:getsockname()))
local out = {}
assert(session:receive { path = "index.txt", sink = ltn12.sink.table(out) } == 1)
assert(table.concat(out) == text)
session:quit()
session:close()

---------------------------------------------------------------- under the dispatcher

local webport, stopweb = servers.start "http"
local mailport, stopmail = servers.start "smtp"
local web = "http://127.0.0.1:" .. webport

local waits = 0 -- how often something let the others run

local function create()
  local sock, err = socket.tcp()
  if not sock then return nil, err end
  return copas.wrap(sock)
end

local done = {}
local function thread(name, body)
  copas.addthread(function()
    body()
    done[name] = true
  end)
end

thread("http", function()
  local body = {}
  local ok, code = http.request { url = web .. "/chunks", create = create, sink = ltn12.sink.table(body) }
  assert(ok == 1 and code == 200 and #table.concat(body) == 73011)
  local sent = ("x"):rep(500000)
  body = {}
  assert(http.request {
    url = web .. "/echo", method = "PUT", create = create, sink = ltn12.sink.table(body),
    source = ltn12.source.string(sent),
  })
  assert(table.concat(body):find "PUT /echo 500000 ")
  local nothing, err = http.request { url = web .. "/truncated", create = create }
  assert(nothing == nil and err == "closed")
end)

thread("ftp", function()
  local names = {}
  assert(ftp.get {
    host = "127.0.0.1", port = ftpport, command = "nlst", sink = ltn12.sink.table(names), create = create,
  })
  assert(table.concat(names):find "index.txt")
  local nothing, err = ftp.get {
    host = "127.0.0.1", port = ftpport, path = "none", sink = ltn12.sink.null(), create = create,
  }
  assert(nothing == nil and err == "550 no such file")
end)

thread("smtp", function()
  assert(smtp.send {
    from = "<a@b>", rcpt = "<c@d>", server = "127.0.0.1", port = mailport, create = create,
    source = function() -- a source that waits
      copas.sleep(0)
      local piece = not done.source and "text\r\n" or nil
      done.source = true
      return piece
    end,
  } == 1)
end)

thread("finalizer", function()
  local closed
  local careful = socket.newtry(function()
    copas.sleep(0)
    closed = true
  end)
  local nothing, err = socket.protect(function()
    copas.sleep(0)
    careful(nil, "given up")
  end)()
  assert(nothing == nil and err == "given up" and closed)
end)

copas.addthread(function()
  while not (done.http and done.ftp and done.smtp and done.finalizer) do
    waits = waits + 1
    copas.sleep(0)
  end
end)
copas.loop(100)

for _, name in ipairs { "http", "ftp", "smtp", "finalizer", "source" } do assert(done[name], name) end
assert(waits > 20, waits)
stopftp()
stopweb()
assert(stopmail():find "| text")
