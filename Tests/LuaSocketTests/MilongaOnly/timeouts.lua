-- Settings that come from a file or the environment are text: every TIMEOUT takes it, as
-- `settimeout` does.
local socket = require "socket"
local http, ftp, smtp, tp = require "socket.http", require "socket.ftp", require "socket.smtp", require "socket.tp"
local copas = require "copas"
local ltn12 = require "ltn12"

local listener = assert(socket.bind("127.0.0.1", 0)) -- nothing is accepted: every client waits for an answer
local _, port = listener:getsockname()

local function times(name, body)
  local start = socket.gettime()
  local result, err = body()
  assert(result == nil and err == "timeout", name .. ": " .. tostring(err))
  assert(socket.gettime() - start >= 0.05, name)
end

http.TIMEOUT, ftp.TIMEOUT, smtp.TIMEOUT, tp.TIMEOUT = "0.05", "5e-2", " 0.05 ", "0.05"
local url = ("http://127.0.0.1:%d/"):format(port)
times("http", function() return http.request(url) end)
times("ftp", function() return ftp.get { host = "127.0.0.1", port = port, path = "x", sink = ltn12.sink.null() } end)
local mail = { from = "<a@b>", rcpt = "<c@d>", source = ltn12.source.empty(), server = "127.0.0.1", port = port }
times("smtp", function() return smtp.send(mail) end)
times("tp", function() return tp.connect("127.0.0.1", port, "0.05"):check "2.." end)
times("tp.TIMEOUT", function() return tp.connect("127.0.0.1", port):check "2.." end)
copas.addthread(function()
  local client = require "copas.http"
  times("copas.http", function() return client.request { url = url, timeout = "0.05" } end)
  times("copas.http, a phase", function() return client.request { url = url, timeout = { receive = "0.05" } } end)
  client.TIMEOUT = "0.05"
  times("copas.http.TIMEOUT", function() return client.request(url) end)
  times("copas.smtp", function() return require "copas.smtp".send(mail) end)
  times("copas.ftp", function()
    return require "copas.ftp".get { host = "127.0.0.1", port = port, path = "x", sink = ltn12.sink.null() }
  end)
end)
copas.loop()

-- The server connects to us, or does not: active mode has its deadline, too.
local opened = ftp.open("127.0.0.1", port)
opened.server = assert(socket.bind("127.0.0.1", 0))
times("portconnect", socket.protect(function() return opened:portconnect() end))
opened:close()

-- What is no number is an error that says so.
http.TIMEOUT = "soon"
local good, why = pcall(http.request, url)
assert(not good and why:find "number expected", why)
