-- oks: 31
-- The examples of Copas' manual and reference run as they stand there (support/manual.lua), with hosts
-- and ports of this machine, and with something to do where they have a comment or three dots.
local copas = require "copas"
local socket = require "socket"
local check = require "check"
local web = require "web"
local manual = require "manual"

local host = "127.0.0.1"

--- The example, with each of the texts, which it has to contain, replaced by another one.
local function adapted(name, replacements)
  local text = manual[name]
  for old, new in pairs(replacements or {}) do
    local count
    text, count = text:gsub(old:gsub("%p", "%%%0"), (new:gsub("%%", "%%%%")))
    assert(count > 0, old)
  end
  return text
end

--- A place for the globals of examples, and for what they print. Modules are those of `modules`, or the
--- real ones.
local function place(globals, modules)
  local env = setmetatable(globals or {}, {__index = _G})
  env.copas, env.socket = copas, modules and modules.socket or socket
  env.printed = {}
  function env.print(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    env.printed[#env.printed + 1] = table.concat(words, "\t")
  end
  function env.require(name) return modules and modules[name] or require(name) end
  return env
end

local function run(env, name, replacements, more)
  return assert(load(adapted(name, replacements) .. (more or ""), "=" .. name, "t", env))()
end

--- The module `socket` with another function `name`, which gets what the real one returns.
local function watched(name, watch)
  return {socket = setmetatable({[name] = function(...)
    local results = table.pack(socket[name](...))
    watch(results[1])
    return table.unpack(results, 1, results.n)
  end}, {__index = socket})}
end

local function portof(skt) return (select(2, skt:getsockname())) end

-- Those that take seconds, or set things that outlive them, run meanwhile in processes of their own.

local folder = os.tmpname()
os.remove(folder)
local self = io.popen "readlink /proc/$PPID/exe":read()
assert(os.execute(("mkdir '%s' && ln -s '%s' '%s/copas'"):format(folder, self, folder)))
local function start(name, command)
  local file = assert(io.open(folder .. "/" .. name, "w"))
  file:write(manual[name])
  file:close()
  return io.popen(("cd '%s' && chmod +x %s && PATH=.:$PATH %s%s 2>&1"):format(folder, name, command, name))
end
local runtime = start("runtime", "./")
local timer = start("timer", self .. " ")
local timeout = start("referenceTimeout", self .. " ")
local errors = start("referenceErrors", self .. " -l copas ")

-- An echo server

for _, name in ipairs {"echo", "wrappedEcho"} do
  local env = place {host = host, port = 0}
  run(env, "bind")
  run(env, name)
  run(env, "addEcho")
  local answer, ending
  copas.addthread(function()
    local c = copas.wrap(socket.tcp())
    c:connect(host, portof(env.server))
    c:send "hello\n"
    answer = c:receive(5)
    c:send "quit\n"
    ending = select(2, c:receive())
    copas.removeserver(env.server)
  end)
  run(env, "start")
  check.equal(name, answer, "hello")
  check.equal(name .. " quits", ending, "closed")
end

-- An existing server, and its way to Copas

local dots = {["..."] = "visits = visits + 1"}
local clients = {}
local env = place({host = host, port = 0, pattern = "*l", respdata = "response\n", visits = 0}, watched("bind", function(server)
  for i = 1, 2 do
    clients[i] = assert(socket.connect(host, portof(server)))
    clients[i]:send(("request %d\n"):format(i))
  end
end))
run(env, "blockingHandler", dots)
local handle = env.handle
function env.handle(skt)
  handle(skt)
  if env.visits == 6 then error "enough" end
end
local _, why = pcall(run, env, "blockingServer")
check.ok("a loop around accept", tostring(why):find("enough", 1, true), why)
check.ok("serves one after the other", clients[1]:receive() == "response" and clients[2]:receive() == "response")

for _, name in ipairs {"migratedHandler", "wrappedHandler"} do
  env = place {host = host, port = 0, pattern = "*l", respdata = "response\n", visits = 0}
  run(env, name, dots)
  run(env, "migratedServer")
  local answers = 0
  for _ = 1, 2 do
    copas.addthread(function()
      local c = copas.wrap(socket.tcp())
      c:connect(host, portof(env.server))
      c:send "request\n"
      if c:receive() == "response" and select(2, c:receive()) == "closed" then answers = answers + 1 end
      if answers == 2 then copas.removeserver(env.server) end
    end)
  end
  run(env, "start")
  check.ok(name, answers == 2 and env.visits == 6 and env.reqdata == "request", answers, env.visits)
end

-- UDP

local datagrams
env = place(nil, watched("udp", function(skt) datagrams = skt end))
copas.addthread(function()
  local port = portof(datagrams)
  copas.sendto(socket.udp(), "twelve bytes", host, port)
end)
run(env, "datagrams", {["51034"] = "0", ['"*"'] = '"127.0.0.1"'})
check.equal("a datagram server", table.concat(env.printed, "\n"), table.concat({
  "UDP connection handler", "receiving...", "Received data, bytes:\t12", "receiving...",
  "Receive error: \ttimeout"}, "\n"))
copas.removeserver(datagrams)

-- A task

local server, port = check.listener()
copas.addserver(server, function(skt)
  copas.send(skt, "first second")
  copas.pause(0.002)
  copas.send(skt, "quit! ")
  check.equal("the task closes its connection", select(2, copas.receive(skt)), "closed")
  copas.removeserver(server)
end)
env = place()
run(env, "task", {["10000"] = tostring(port)})
check.equal("a task", table.concat(env.printed, "|"), table.concat({
  "receiving...", "received:\tfirst ", "receiving...", "received:\tsecond", "receiving...",
  "received:\tquit! "}, "|"))

-- Synchronization

env = place()
local some_func = run(env, "lock", nil, "return some_func")
for _ = 1, 2 do copas.addthread(some_func) end
copas.loop()
local lines = table.concat(env.printed, "\n"):gsub("[%d.e-]+ seconds", "N seconds")
check.equal("a lock", lines, ("doing something on my own\nafter N seconds waiting\n"):rep(2):sub(1, -2))

-- TLS

local serverparams, certificates = web.certificate "localhost"
local comment = "-- perform the regular reading/writing ops on skt"
local function serve(name, field)
  local own = place {sslparams = serverparams}
  run(own, name, {[comment] = "local line = skt:receive() if not line then break end skt:send(line .. '\\n')"})
  local listener, number = check.listener()
  copas.addserver(listener, own[field])
  return listener, number
end
for name, field in pairs {handshake = "handler", handler = "handle"} do
  local listener, number = serve(name, field)
  env = place {host = host, port = number, sslparams = {mode = "client", protocol = "any"}}
  -- The manual forgets the parenthesis at the end.
  run(env, "outgoing", {[comment] = "skt:send 'over TLS\\n' answer = skt:receive() skt:close() break"}, ")")
  copas.addthread(function()
    while not env.answer do copas.pause(0.001) end
    copas.removeserver(listener)
  end)
  copas.loop()
  check.equal(name, env.answer, "over TLS")
end

local listener, number = check.listener()
copas.addserver(listener, copas.handler(function(skt)
  skt:send "a line\n"
  copas.removeserver(listener)
end, {wrap = serverparams}))
env = place()
run(env, "referenceClient", {
  ["20000"] = tostring(number), ["somehost.com"] = host, ["-- do something"] = "print(data, err, copas.getsocketname(sock))",
})
check.equal("the reference's client", table.concat(env.printed, "|"), "a line\tnil\tmy_TCP_client")

env = place(nil, watched("bind", function(skt) server = skt end))
copas.addthread(function()
  local c = copas.wrap(socket.tcp(), {wrap = {mode = "client", protocol = "any"}})
  assert(c:connect(host, portof(server)))
  c:send "data\n"
  check.equal("its server's handler returns", select(2, c:receive()), "closed")
  c:close()
  copas.exit()
end)
run(env, "referenceServer", {
  ["20000"] = "0", ['"*"'] = '"127.0.0.1"', ["-- do something"] = "print(data, err)",
  ['"any",'] = ('"any", key = %q, certificate = %q,'):format(serverparams.key, serverparams.certificate),
})
check.equal("the reference's server", table.concat(env.printed, "|"), "data\tnil")
check.equal("is removed at the exit", server:getfd(), -1)
os.execute(("rm -r '%s'"):format(certificates))

-- Requests

local paths = {}
port = web.serve(function(c, request)
  paths[#paths + 1] = request.uri
  web.text(c, "welcome")
end)
local function there(name) return ("http://%s:%d/%s"):format(host, port, name) end
env = place()
copas.addthread(function()
  while #env.printed < 5 do copas.pause(0.001) end
  web.stop()
end)
local replacements, done = {}, {}
for _, name in ipairs {"apple", "facebook", "google", "microsoft", "yahoo"} do
  replacements[("http://www.%s.com"):format(name)] = there(name)
  done[#done + 1] = "Host done: " .. there(name)
end
run(env, "requests", replacements)
table.sort(paths)
table.sort(env.printed)
check.equal("requests", table.concat(paths), "/apple/facebook/google/microsoft/yahoo")
check.equal("each is told", table.concat(env.printed, " "), table.concat(done, " "))
check.equal("and has its body", env.res, "welcome")

-- One's own loop

env = place {condition = true}
copas.addthread(function()
  copas.pause(0.005)
  env.condition = false
end)
run(env, "step")
check.ok("an own loop of steps", not env.condition and copas.finished())

-- What ran meanwhile

local function ended(process)
  local output = process:read "a"
  return output, process:close()
end
local output, good = ended(runtime)
check.equal("the runtime", output, "hello world 1\nhello world 2\nhello world 3\nhello world 4\nhello world 5\n")
check.ok("ends well", good)
output, good = ended(timer)
check.equal("a timer", output, "hello world\n")
check.ok("ends well", good)
output, good = ended(timeout)
check.equal("a timeout", output, "executing timeout handler\nresult: \ttimeout\n")
check.ok("ends well", good)
output, good = ended(errors)
check.ok("an error handler", output:find("sleeping\n", 1, true) and output:find("referenceErrors:%d+: boom!! %(coroutine: "), output)
check.ok("with the traceback", output:find("stack traceback:.*referenceErrors:%d+: in function <referenceErrors:%d+>"), output)
check.ok("fails, as it wants", not good)
os.execute(("rm -r '%s'"):format(folder))
