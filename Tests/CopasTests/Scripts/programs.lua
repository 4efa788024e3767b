-- oks: 31
-- Small programs that use Copas in the ways that its manual names: servers with and without wrapped
-- sockets, a server of LuaSocket's that moves to Copas, datagrams, timers, locks, TLS, requests, a
-- loop of one's own.
local copas = require "copas"
local socket = require "socket"
local check = require "check"
local web = require "web"

local host = "127.0.0.1"

local function portof(skt) return (select(2, skt:getsockname())) end

--- A connection to a server of this process, for a thread of Copas.
local function connect(port, sslparams)
  local skt = copas.wrap(socket.tcp(), sslparams)
  assert(skt:connect(host, port))
  return skt
end

-- Programs that take a while, or set what outlives them, run meanwhile in processes of their own.

local programs = package.searchpath("check", package.path):match "^(.*/)" .. "programs/"
local folder = os.tmpname()
os.remove(folder)
local self = io.popen "readlink /proc/$PPID/exe":read()
-- The runtime is the program under the name `copas`.
assert(os.execute(("mkdir '%s' && ln -s '%s' '%s/copas'"):format(folder, self, folder)))

local function start(command) return io.popen(("export PATH='%s':$PATH; %s 2>&1"):format(folder, command)) end

local ticker = start(("cp '%sticker' '%s' && chmod +x '%s/ticker' && '%s/ticker'"):format(programs, folder, folder, folder))
local timer = start(("'%s' '%stimer.lua'"):format(self, programs))
local timeout = start(("'%s' '%stimeout.lua'"):format(self, programs))
local failing = start(("'%s' -l copas '%sfailure.lua'"):format(self, programs))

-- A server that sends lines back, until one says that it is the last

local function plainEcho(skt)
  local line = copas.receive(skt)
  while line ~= "last" do
    copas.send(skt, line)
    line = assert(copas.receive(skt))
  end
end

local function wrappedEcho(skt)
  skt = copas.wrap(skt)
  local line = skt:receive()
  while line ~= "last" do
    skt:send(line)
    line = assert(skt:receive())
  end
end

for name, handler in pairs {["a plain socket"] = plainEcho, ["a wrapped socket"] = wrappedEcho} do
  local server, port = check.listener()
  copas.addserver(server, handler)
  local answer, ending
  copas.addthread(function()
    local c = connect(port)
    c:send "hello\n"
    answer = c:receive(5)
    c:send "last\n"
    ending = select(2, c:receive())
    copas.removeserver(server)
  end)
  copas()
  check.equal(name, answer, "hello")
  check.equal(name .. " is closed when the handler returns", ending, "closed")
end

-- A server of LuaSocket's, and the same one in Copas

local visits, request = 0, nil

local function serve(skt)
  visits = visits + 1
  request = skt:receive "*l"
  visits = visits + 1
  skt:send "answer\n"
end

local server, port = check.listener()
local clients = {}
for i = 1, 2 do
  clients[i] = assert(socket.connect(host, port))
  clients[i]:send(("request %d\n"):format(i))
end
for _ = 1, 2 do
  local skt = assert(server:accept())
  serve(skt)
  skt:close()
end
server:close()
check.ok("a loop around accept", visits == 4 and request == "request 2", visits, request)
check.ok("serves one after the other", clients[1]:receive() == "answer" and clients[2]:receive() == "answer")

local function servePlainly(skt)
  visits = visits + 1
  request = copas.receive(skt, "*l")
  visits = visits + 1
  copas.send(skt, "answer\n")
end

local moved = {["by functions of Copas"] = servePlainly, ["by a wrapped socket"] = function(skt) serve(copas.wrap(skt)) end}
for name, handler in pairs(moved) do
  server, port = check.listener()
  visits, request = 0, nil
  copas.addserver(server, handler)
  local answers = 0
  for _ = 1, 2 do
    copas.addthread(function()
      local c = connect(port)
      c:send "request\n"
      if c:receive() == "answer" and select(2, c:receive()) == "closed" then answers = answers + 1 end
      if answers == 2 then copas.removeserver(server) end
    end)
  end
  copas()
  check.ok(name, answers == 2 and visits == 4 and request == "request", answers, visits)
end

-- Datagrams: the server's timeout ends its handler

local events = {}
local datagrams = socket.udp()
datagrams:setsockname(host, 0)
copas.addserver(datagrams, function(skt)
  skt = copas.wrap(skt)
  events[#events + 1] = "begin"
  while true do
    local data, reason = skt:receive(2048)
    events[#events + 1] = data or reason
    if not data then return end
  end
end, 0.5)
copas.addthread(function() copas.sendto(socket.udp(), "a datagram", host, portof(datagrams)) end)
copas()
check.equal("a datagram server", table.concat(events, "|"), "begin|a datagram|timeout")
copas.removeserver(datagrams)

-- A thread that reads pieces from a connection which is not wrapped

server, port = check.listener()
copas.addserver(server, function(skt)
  copas.send(skt, "abcdef" .. "ghijkl")
  copas.pause(0.002)
  copas.send(skt, "enough")
  check.equal("the thread closes its connection", select(2, copas.receive(skt)), "closed")
  copas.removeserver(server)
end)
local pieces = {}
local reading = assert(socket.connect(host, port))
reading:settimeout(0)
copas.addthread(function()
  repeat
    local piece = copas.receive(reading, 6)
    pieces[#pieces + 1] = piece
  until piece == nil or piece == "enough"
  reading:close()
end)
copas()
check.equal("a thread that reads", table.concat(pieces, "|"), "abcdef|ghijkl|enough")

-- A lock that is held across a pause

local lock, entries, inside = copas.lock.new(), {}, 0
for i = 1, 2 do
  copas.addthread(function()
    local ok, reason, waited = lock:get()
    if not ok then error(("%s after %f s"):format(reason, waited)) end
    inside = inside + 1
    copas.pause()
    entries[#entries + 1] = ("%d: %d inside, waited a %s"):format(i, inside, type(ok))
    inside = inside - 1
    lock:release()
  end)
end
copas.loop()
check.equal("a lock", table.concat(entries, "; "), "1: 1 inside, waited a number; 2: 1 inside, waited a number")

-- TLS: a handler that does its handshake, and one whose sockets come with it done

local serverparams, certificates = web.certificate "localhost"
local clientparams = {mode = "client", protocol = "any"}

local function echoOnce(skt)
  local line = skt:receive()
  if line then skt:send(line .. "\n") end
end

local secured = {
  ["a handshake in the handler"] = function(skt) echoOnce(copas.wrap(skt):dohandshake(serverparams)) end,
  ["a handshake before the handler"] = copas.handler(echoOnce, serverparams),
}
for name, handler in pairs(secured) do
  server, port = check.listener()
  copas.addserver(server, handler)
  local answer
  copas.addthread(function()
    local c = connect(port, clientparams)
    c:send "over TLS\n"
    answer = c:receive()
    c:close()
    copas.removeserver(server)
  end)
  copas.loop()
  check.equal(name, answer, "over TLS")
end

-- A client with a name

server, port = check.listener()
copas.addserver(server, copas.handler(function(skt)
  skt:send "a line\n"
  copas.removeserver(server)
end, {wrap = serverparams}))
local line, reason, name
copas.addthread(function()
  local c = copas.wrap(socket.tcp(), {wrap = clientparams})
  copas.setsocketname("a client", c)
  assert(c:connect(host, port))
  line, reason = c:receive "*l"
  name = copas.getsocketname(c)
end)
copas()
check.ok("a client with a name", line == "a line" and reason == nil and name == "a client", line, reason, name)

-- A server that is removed when the program is told to end

server, port = check.listener()
local received
copas.addthread(function()
  copas.addserver(server, copas.handler(function(skt) received = skt:receive() end, {wrap = serverparams}), "a server")
  copas.waitforexit()
  copas.removeserver(server)
end)
copas.addthread(function()
  local c = connect(port, {wrap = clientparams})
  c:send "data\n"
  check.equal("its handler returns", select(2, c:receive()), "closed")
  c:close()
  copas.exit()
end)
copas()
check.equal("a server until the exit", received, "data")
check.equal("is removed at the exit", server:getfd(), -1)
os.execute(("rm -r '%s'"):format(certificates))

-- Requests of many threads

local paths, done, body = {}, {}, nil
port = web.serve(function(c, asked)
  paths[#paths + 1] = asked.uri
  web.text(c, "welcome")
end)
local wanted = {"/a", "/b", "/c", "/d", "/e"}
for _, path in ipairs(wanted) do
  copas.addthread(function()
    body = copas.http.request(("http://%s:%d%s"):format(host, port, path))
    done[#done + 1] = path
    if #done == #wanted then web.stop() end
  end)
end
copas()
table.sort(paths)
table.sort(done)
check.equal("requests", table.concat(paths), "/a/b/c/d/e")
check.equal("each is told", table.concat(done), "/a/b/c/d/e")
check.equal("and has its body", body, "welcome")

-- A loop of one's own

local goes, steps = true, 0
copas.addthread(function()
  copas.pause(0.005)
  goes = false
end)
while goes do
  copas.step()
  steps = steps + 1
end
check.ok("a loop of steps", steps > 0 and copas.finished(), steps)

-- What ran meanwhile

local function ended(process)
  local output = process:read "a"
  return output, process:close()
end
local output, good = ended(ticker)
check.equal("the runtime", output, "tick 1\ntick 2\ntick 3\n")
check.ok("ends well", good)
output, good = ended(timer)
check.equal("a timer", output, "once\n")
check.ok("ends well", good)
output, good = ended(timeout)
check.equal("a timeout", output, "too late\noutcome\tremoved\n")
check.ok("ends well", good)
output, good = ended(failing)
check.ok("an error handler", output:find("waiting\n", 1, true) and output:find("failure.lua:%d+: a fault %(coroutine: "), output)
check.ok("with the traceback", output:find("stack traceback:.*failure.lua:%d+: in function <.*failure.lua:%d+>"), output)
check.ok("fails, as it wants", not good)
os.execute(("rm -r '%s'"):format(folder))
