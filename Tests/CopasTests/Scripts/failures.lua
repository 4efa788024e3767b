-- oks: 47
-- Wherever code of the program fails, the error handler is told with name and traceback, what the
-- failing thread owned is closed, and no other thread notices.
local copas = require "copas"
local socket = require "socket"
local http = require "copas.http"
local check = require "check"
local web = require "web"

warn "@off"
local reports = {}
copas.seterrorhandler(function(message, thread, skt)
  reports[#reports + 1] = {
    text = tostring(message), thread = copas.getthreadname(thread), skt = skt and copas.getsocketname(skt),
    traceback = copas.gettraceback(message, thread, skt),
  }
end, true)

-- What every traceback has to show: where it happened.
local function faulty() error "faulty" end
local function fail()
  faulty()
  return nil -- no tail call
end

local ticks = 0
--- Runs the threads that `body` starts, and a bystander; there has to be one report, in whose
--- traceback `place` is found.
local function reported(what, name, body, place)
  reports, ticks = {}, 0
  copas.addthread(function()
    for _ = 1, 20 do
      copas.pause(0.001)
      ticks = ticks + 1
    end
  end)
  body()
  copas.loop()
  local first = reports[1] or {}
  check.ok(what .. " is reported once, with its name",
    #reports == 1 and first.text:find "failures.lua:%d+: faulty$" and tostring(first.thread):find("^" .. name .. "$"),
    #reports, first.text, first.thread)
  check.ok(what .. ": the traceback shows where",
    first.traceback:find("stack traceback:.*" .. (place or "in upvalue 'faulty'"))
      and first.traceback:find("(coroutine: ", 1, true),
    first.traceback)
  check.equal(what .. ": others go on", ticks, 20)
end

--- A server named `name` with one client, whose connection has to end.
local function serve(name, handle)
  local server, port = check.listener()
  copas.addserver(server, handle, nil, name)
  local c = copas.wrap(socket.tcp())
  copas.addthread(function()
    c:settimeout(60)
    c:connect("127.0.0.1", port)
    c:send "hello\n"
    check.equal(name .. ": its connection is closed", select(2, c:receive()), "closed")
    c:close()
    copas.removeserver(server)
  end)
end

reported("a thread", "named", function() copas.addnamedthread("named", fail) end)
reported("an initializer", "copas_initializer", function() copas.loop(fail) end)
reported("a server's handler", "plain:handler_1", function()
  serve("plain", function(skt)
    copas.receive(skt)
    fail()
  end)
end)
check.equal("and so is its socket", reports[1].skt, "plain:client_1")
reported("a wrapped handler", "wrapped:handler_1", function()
  serve("wrapped", copas.handler(function(skt)
    skt:receive()
    fail()
  end))
end)
reported("a handler that waits while it fails", "closing:handler_1", function()
  serve("closing", function(skt)
    copas.receive(skt)
    local _ <close> = setmetatable({}, {__close = function() copas.pause(0.001) end})
    fail()
  end)
end)

-- A datagram server has one thread and one socket, which stays the program's.
local datagrams = socket.udp4()
datagrams:setsockname("127.0.0.1", 0)
reported("a datagram server's handler", "datagrams:handler", function()
  copas.addserver(datagrams, function(skt)
    copas.receivefrom(skt)
    fail()
  end, nil, "datagrams")
  copas.addthread(function() copas.sendto(socket.udp4(), "x", "127.0.0.1", (select(2, datagrams:getsockname()))) end)
end)
check.ok("its socket stays open", datagrams:getfd() >= 0)
copas.removeserver(datagrams)

reported("a timer", "clock", function() copas.timer.new {name = "clock", delay = 0, callback = fail} end)
reported("a timeout's callback", "copas_core_timer", function()
  copas.addthread(function()
    copas.timeout(0.001, fail)
    copas.pause(0.02)
  end)
end)
reported("a worker of a queue", "jobs:worker_1", function()
  local jobs = copas.queue.new {name = "jobs"}
  jobs:add_worker(fail)
  jobs:push "job"
  copas.addthread(function()
    copas.pause(0.005)
    jobs:stop()
  end)
end)

-- What a request calls. `socket.protect` has caught the error before it goes on, so that the
-- traceback begins there; the message says where it happened.
local closed
local function request(parameters)
  closed = false
  local port = web.listen(function(c)
    c:receive()
    c:send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" .. ("half"):rep(12500))
    local line, why
    repeat line, why = c:receive() until not line
    closed = why ~= "timeout"
    web.stop()
  end)
  parameters.url = ("http://127.0.0.1:%d/"):format(port)
  copas.addnamedthread("request", http.request, parameters)
end
reported("a sink", "request", function() request {sink = fail} end, "in function 'copas.http.request'")
check.ok("closes the connection", closed)
reported("a source", "request", function() request {method = "POST", source = fail} end, "in function 'copas.http.request'")
check.ok("closes the connection", closed)

-- What cleans up. The finalizer of socket.newtry is called for an error that socket.protect would
-- return.
reported("a finalizer of newtry", "finalizer", function()
  copas.addnamedthread("finalizer", socket.protect(function() socket.newtry(fail)(nil, "an error") end))
end, "%[C%]: in")
reported("a to-be-closed variable", "closing", function()
  copas.addnamedthread("closing", function()
    local _ <close> = setmetatable({}, {__close = fail})
    copas.pause(0.001)
  end)
end)

-- A future has the error for the threads that ask it; the error handler is not called.
reports = {}
local got
copas.addthread(function() got = table.pack(copas.future.addthread(fail):get()) end)
copas.loop()
check.ok("a future's error is for its reader", #reports == 0 and got[1] == false and got[2]:find "faulty$", #reports, got[2])
