-- The examples of the Copas 4.11 manual and reference, word for word, because they have to run so: all
-- but "luarocks install", and but two loops around socket.select, which LuaSocket does not run either
-- (they take the table of sockets that it returns for a socket).
--
-- Quoted from https://lunarmodules.github.io/copas/ (Copyright 2005-2013 Kepler Project, 2015-2026 Thijs
-- Schreijer; MIT license).

return {
  runtime = [[
#!/usr/bin/env copas

local count = 0
copas.timer.new {
  delay = 1,
  recurring = true,
  callback = function(self)
    count = count + 1
    print('hello world ' .. count)
    if count >= 5 then
      self:cancel()
    end
  end
}
]],

  bind = [[
server = socket.bind(host, port)
]],

  echo = [[
function echoHandler(skt)
  while true do
    local data = copas.receive(skt)
    if data == "quit" then
      break
    end
    copas.send(skt, data)
  end
end
]],

  wrappedEcho = [[
function echoHandler(skt)
  skt = copas.wrap(skt)
  while true do
    local data = skt:receive()
    if data == "quit" then
      break
    end
    skt:send(data)
  end
end
]],

  addEcho = [[
copas.addserver(server, echoHandler)
]],

  start = [[
copas()
]],

  blockingServer = [[
server = socket.bind(host, port)
while true do
  skt = server:accept()
  handle(skt)
end
]],

  blockingHandler = [[
function handle(skt)
  ...
  -- gets some data from the client - "the request"
  reqdata = skt:receive(pattern)
  ...
  -- sends some data to the client - "the response"
  skt:send(respdata)
  ...
end
]],

  migratedServer = [[
server = socket.bind(host, port)
copas.addserver(server, handle)
]],

  migratedHandler = [[
function handle(skt)
  ...
  -- gets some data from the client - "the request"
  reqdata = copas.receive(skt, pattern)
  ...
  -- sends some data to the client - "the response"
  copas.send(skt, respdata)
   ...
end
]],

  wrappedHandler = [[
function handle(skt)
  -- this line may suffice for your handler to work with Copas
  skt = copas.wrap(skt)   -- or... skip this line and wrap `handle` using copas.handler()
  -- now skt behaves like a LuaSocket socket but uses Copas'
  ...
  -- gets some data from the client - "the request"
  reqdata = skt:receive(pattern)
  ...
  -- sends some data to the client - "the response"
  skt:send(respdata)
   ...
end
]],

  datagrams = [[
local port = 51034
local server = socket.udp()
server:setsockname("*",port)

function handler(skt)
  skt = copas.wrap(skt)
  print("UDP connection handler")

  while true do
    local s, err
    print("receiving...")
    s, err = skt:receive(2048)
    if not s then
      print("Receive error: ", err)
      return
    end
    print("Received data, bytes:" , #s)
  end
end

copas.addserver(server, handler, 1)
copas()
]],

  task = [[
local socket = require("socket")
local copas = require("copas")

local host = "127.0.0.1"
local port = 10000

local skt = socket.connect(host, port)
skt:settimeout(0)  -- important: make it non-blocking

copas.addthread(function()
   while true do
      print("receiving...")
      local resp = copas.receive(skt, 6)
      print("received:", resp or "nil")
      if resp and resp:sub(1,4) == "quit" then
         skt:close()
         break
      end
   end
end)

copas()
]],

  timer = [[
local copas = require("copas")

copas(function()
   copas.timer.new({
     delay = 1,                        -- delay in seconds
     recurring = true,                 -- make the timer repeat
     params = "hello world",
     callback = function(timer_obj, params)
       print(params)                   -- prints "hello world"
       timer_obj:cancel()              -- cancel the timer after 1 occurence
     end
   })
end)
]],

  lock = [[
local copas = require("copas")

local lock = copas.lock.new()

local function some_func()
  local ok, err, wait = lock:get()
  if not ok then
    return nil, "we got error '" .. err .. "' after " .. wait .. " seconds"
  end

  print("doing something on my own")
  copas.pause()  -- allow to yield, while inside the lock
  print("after " .. ok .. " seconds waiting")

  lock:release()
end
]],

  handshake = [[
function handler(skt)
  skt = copas.wrap(skt):dohandshake(sslparams)
  -- skt = copas.wrap(skt, sslparams):dohandshake()  -- would be identical

  while true do
    -- perform the regular reading/writing ops on skt
  end
end
]],

  handler = [[
function handle(skt)
  -- by now `skt` is copas wrapped, and has its handshake already completed

  while true do
    -- perform the regular reading/writing ops on skt
  end
end
handle = copas.handler(handle, sslparams)  -- wraps the handler to auto wrap and handshake
]],

  outgoing = [[
copas.addthread(function()
  local skt = copas.wrap(socket.tcp(), sslparams)
  skt:connect(host, port)  -- connecting will also perform the handshake on a wrapped socket

  while true do

    -- perform the regular reading/writing ops on skt

  end
end
]],

  requests = [[
local copas = require("copas")
local asynchttp = require("copas.http").request

local list = {
  "http://www.google.com",
  "http://www.microsoft.com",
  "http://www.apple.com",
  "http://www.facebook.com",
  "http://www.yahoo.com",
}

local handler = function(host)
  res, err = asynchttp(host)
  print("Host done: "..host)
end

for _, host in ipairs(list) do copas.addthread(handler, host) end
copas()
]],

  step = [[
while condition do
  copas.step()
  -- processing for other events from your system here
end
]],

  referenceServer = [[
local copas = require("copas")
local socket = require("socket")

local address = "*"
local port = 20000
local ssl_params = {
    wrap = {
        mode = "server",
        protocol = "any",  -- not really secure...
    },
}

local server_socket = assert(socket.bind(address, port))

local function connection_handler(skt)
    local data, err = skt:receive()

    -- do something

end

copas.addthread(function()
    copas.addserver(server_socket, copas.handler(connection_handler,
        ssl_params), "my_TCP_server")
    copas.waitforexit()
    copas.removeserver(server_socket)
end)

copas()
]],

  referenceClient = [[
local copas = require("copas")
local socket = require("socket")

copas.addthread(function()
    local port = 20000
    local host = "somehost.com"
    local ssl_params = {
        wrap = {
            mode = "client",
            protocol = "any",  -- not really secure...
        },
    }

    local sock = copas.wrap(socket.tcp(), ssl_params)
    copas.setsocketname("my_TCP_client", sock)
    assert(sock:connect(host, port))

    local data, err = sock:receive("*l")

    -- do something

end)

copas()
]],

  referenceTimeout = [[
local copas = require "copas"
local result = "nothing"

copas(function()

  local function timeout_handler(co)  -- co will be the coroutine from which 'timeout()' was called
    print("executing timeout handler")
    result = "timeout"
    copas.removethread(co)            -- drop the thread, because we timed out
  end

  copas.addthread(function()
    copas.timeout(5, timeout_handler) -- timeout on the current coroutine after 5 seconds
    copas.pause(10)                   -- sleep for 10 seconds
    print("just woke up")
    result = "slept like a baby"
    copas.timeout(0)                  -- cancel the timeout on the current coroutine
  end)
end)

print("result: ", result)
]],

  referenceErrors = [[
local failure

copas(function()
  copas.seterrorhandler(function(msg, co, skt)
    failure = copas.gettraceback(msg, co, skt)
    copas.cancelall()   -- cancel all pending work to force exit
  end, true)            -- true -> set as default errorhandler

  copas.addthread(function()
    print("sleeping")
    copas.pause(3600)   -- would block copas loop from exiting
  end)

  copas.addthread(function()
    copas.pause(1)
    error("boom!!")     -- invokes the erorrhandler above
  end)
end)

assert(not failure, failure)
]],
}
