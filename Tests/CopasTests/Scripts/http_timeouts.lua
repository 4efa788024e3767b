-- oks: 19
-- copas.http: each phase has its time, and no other thread waits.
local copas = require "copas"
local socket = require "socket"
local http = require "copas.http"
local ltn12 = require "ltn12"
local check = require "check"
local web = require "web"

-- The results of a request, and how long it took.
local function timed(request)
  local start = socket.gettime()
  local ok, what = http.request(request)
  return ok, what, socket.gettime() - start
end

local function timesout(what, request, least)
  local ok, err, seconds = timed(request)
  check.ok(what, ok == nil and err == "timeout" and seconds >= least - 0.002 and seconds < 60, ok, err, seconds)
end

local silent = web.listen(function(c) c:receive "*a" end)
local trickling = web.listen(function(c)
  c:receive "*l"
  for byte in ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"):gmatch "." do
    if not c:send(byte) then return end
    copas.pause(0.02)
  end
end)
local halfway = web.serve(function(c)
  c:send "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
  c:receive "*a"
end)
local inchunks = web.serve(function(c)
  c:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
  c:receive "*a"
end)
local slowchunks = web.serve(function(c)
  c:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
  for byte in ("5;" .. ("x"):rep(100)):gmatch "." do
    if not c:send(byte) then return end
    copas.pause(0.02)
  end
end)
local isOver = false
local deaf = web.listen(function(c)
  c:receive(1)
  while not isOver do copas.pause(0.02) end
end)

-- A server that accepts no connection; its queue is full.
local full = socket.tcp4()
full:bind("127.0.0.1", 0)
full:listen(0)
local fullport = select(2, full:getsockname())
local waiting = {}
for i = 1, 3 do
  waiting[i] = socket.tcp4()
  waiting[i]:settimeout(0)
  waiting[i]:connect("127.0.0.1", fullport)
end

local function at(port) return ("http://127.0.0.1:%d/"):format(port) end
local function endless() return ("x"):rep(65536) end

check.run(function()
  local ticks = 0
  local ticker = copas.addthread(function()
    while true do
      copas.pause(0.005)
      ticks = ticks + 1
    end
  end)

  ---------------------------------------------------------------- one number
  timesout("connect", {url = at(fullport), timeout = 0.05}, 0.05)
  timesout("no answer", {url = at(silent), timeout = 0.05}, 0.05)
  timesout("half a body", {url = at(halfway), timeout = 0.05}, 0.05)
  timesout("half of the chunks", {url = at(inchunks), timeout = 0.05}, 0.05)
  timesout("sending", {url = at(deaf), method = "PUT", source = endless, timeout = 0.05}, 0.05)
  check.ok("others go on", ticks >= 5, ticks)

  ---------------------------------------------------------------- a number for each phase
  timesout("connect, alone", {url = at(fullport), timeout = {connect = 0.05}}, 0.05)
  timesout("receive, alone", {url = at(silent), timeout = {receive = 0.05}}, 0.05)
  timesout("send, alone", {url = at(deaf), method = "PUT", source = endless, timeout = {send = 0.05}}, 0.05)
  http.TIMEOUT = 0.1
  timesout("the others have TIMEOUT", {url = at(silent), timeout = {connect = 60, send = 60}}, 0.1)
  timesout("and all without any", {url = at(silent)}, 0.1)
  timesout("of the simple form, too", at(silent), 0.1)
  http.TIMEOUT = 60
  local good, message = pcall(http.request, {url = at(silent), timeout = {recieve = 1}})
  check.ok("no other phases",
    not good and message == "'recieve' is not a valid timeout option. Valid: 'connect', 'send', 'receive'", message)
  check.equal("no number", select(2, http.request {url = at(silent), timeout = "soon"}),
    "timeout must be 'nil' or a number")

  ---------------------------------------------------------------- a byte at a time
  timesout("a head that trickles in", {url = at(trickling), timeout = 0.2}, 0.2)
  timesout("the head of a chunk, too", {url = at(slowchunks), timeout = 0.2}, 0.2)
  check.equal("in time", timed {url = at(trickling), timeout = {receive = 60}}, 1)

  ---------------------------------------------------------------- what is left
  local slept = false
  copas.addthread(function()
    copas.pause(0.15)
    slept = true
  end)
  local results, done = {}, 0
  for i = 1, 20 do
    copas.addthread(function()
      results[i] = select(2, http.request {url = at(silent), timeout = 0.03 + i / 200})
      done = done + 1
    end)
  end
  while done < 20 do copas.pause(0.005) end
  local timeouts = 0
  for i = 1, 20 do if results[i] == "timeout" then timeouts = timeouts + 1 end end
  check.equal("many at once", timeouts, 20)
  while not slept do copas.pause(0.005) end
  -- Sources and sinks may take their time.
  local fast = web.serve(function(c, request) web.text(c, request.body) end)
  -- The server and the system may take too much.
  local start, status = socket.gettime(), nil
  repeat
    local left = 3
    status = select(2, http.request {
      url = at(fast), method = "PUT", timeout = 0.05,
      source = function()
        left = left - 1
        copas.pause(0.07)
        return left > 0 and "x" or nil
      end,
      sink = ltn12.sink.null(),
    })
  until status ~= "timeout" or socket.gettime() > start + 60
  check.equal("the program's own time does not count", status, 200)
  isOver = true
  copas.removethread(ticker)
  web.stop()
end)
