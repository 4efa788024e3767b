-- oks: 16
local copas = require "copas"
local socket = require "socket"
local check = require "check"
local expensive = require "expensive"

-- A connection that is always busy, and one that is not.
local server, port = check.listener()
local busy = 0
copas.addserver(server, function(skt)
  while true do
    local line = copas.receive(skt)
    if not line then return end
    busy = busy + 1
  end
end)
check.run(function()
  local flood = socket.connect("127.0.0.1", port)
  local stop = false
  copas.addthread(function()
    local lines = ("line\n"):rep(20000)
    while not stop do copas.send(flood, lines) end
    flood:close()
  end)
  while busy < 1000 do copas.pause() end
  local a, b = check.pair()
  -- So many lines the busy one reads before the other has its line; more, when the system is late
  -- to deliver that.
  local counts, first = {}, busy
  for i = 1, 500 do
    local before = busy
    b:send("ping\n")
    assert(copas.receive(a) == "ping")
    counts[i] = busy - before
    copas.pause()
  end
  table.sort(counts)
  check.ok("a busy connection does not starve others", counts[400] < 500 and busy > first, counts[400], busy)
  stop = true
  copas.removeserver(server)
end)

-- A thread that never has to wait gives turns, too.
check.run(function()
  local a, b = check.pair()
  b:send(("x"):rep(10000))
  local turns, reading = 0, true
  copas.addthread(function()
    while reading do
      turns = turns + 1
      copas.pause()
    end
  end)
  for _ = 1, 10000 do copas.receive(a, 1) end
  reading = false
  check.ok("a thread with enough to read gives turns", turns > 10, turns)
end)

-- A peer that never reads costs only the thread that sends.
check.run(function()
  local a, b = check.pair()
  local blocked = true
  copas.addthread(function()
    copas.send(a, ("x"):rep(64 * 1024 * 1024))
    blocked = false
  end)
  local ticks = 0
  for _ = 1, 20 do
    copas.pause(0.001)
    ticks = ticks + 1
  end
  check.ok("a peer that never reads", blocked and ticks == 20)
  b:close()
end)

-- Endless data to a receive that wants all of it.
check.run(function()
  local flooded, port = check.listener()
  local script = os.tmpname()
  local file = io.open(script, "w")
  file:write(([[
    local socket = require "socket"
    local c = socket.connect("127.0.0.1", %d)
    local data = ("x"):rep(1024 * 1024)
    while c:send(data) do end
  ]]):format(port))
  file:close()
  os.execute("lua5.4 " .. script .. " &")
  copas.settimeout(flooded, -1)
  local skt
  local listening = true
  copas.addserver(flooded, function(s)
    skt = s
    copas.receive(s, "*a")
    listening = false
  end)
  while not skt do copas.pause(0.001) end
  local worst = 0
  for _ = 1, 30 do
    local start = socket.gettime()
    copas.pause(0.002)
    worst = math.max(worst, socket.gettime() - start)
  end
  check.ok("endless data does not stop the others", worst < 30 and listening, worst)
  skt:close()
  copas.removeserver(flooded)
  os.remove(script)
end)

-- Threads that do nothing but yield do not keep data from being read.
check.run(function()
  local a, b = check.pair()
  local spinning = true
  for _ = 1, 10 do
    copas.addthread(function() while spinning do copas.pause() end end)
  end
  b:send("seen\n")
  check.equal("spinning threads", copas.receive(a), "seen")
  spinning = false
end)

-- Turns that another thread has while `body` runs.
local function turnsDuring(body)
  local turns, running = 0, true
  copas.addthread(function()
    while running do
      turns = turns + 1
      copas.pause()
    end
  end)
  copas.pause()
  turns = 0
  body()
  running = false
  return turns
end

-- A thread that computes between operations that need not wait: its turns are bounded in time, too.
check.run(function()
  local a, b = check.pair()
  b:send(("line\n"):rep(20))
  check.arrived(a)
  local turns = turnsDuring(function()
    for _ = 1, 20 do
      assert(copas.receive(a) == "line")
      expensive.compute(0.005)
    end
  end)
  check.ok("received lines that cost 5 ms each", turns >= 18, turns)
  turns = turnsDuring(function()
    for _ = 1, 20 do
      assert(copas.send(a, "x"))
      expensive.compute(0.005)
    end
  end)
  check.ok("sent lines", turns >= 18, turns)
end)

check.run(function()
  local a, b = socket.udp(), socket.udp()
  a:setsockname("127.0.0.1", 0)
  b:setpeername(a:getsockname())
  for _ = 1, 20 do b:send "datagram" end
  local turns = turnsDuring(function()
    for _ = 1, 20 do
      assert(copas.receivefrom(a) == "datagram")
      expensive.compute(0.005)
    end
  end)
  check.ok("datagrams", turns >= 18, turns)
end)

-- Handlers that compute before they wait for anything.
check.run(function()
  local server, port = check.listener()
  local clients, handled = {}, 0
  for i = 1, 20 do clients[i] = assert(socket.connect("127.0.0.1", port)) end
  local turns = turnsDuring(function()
    copas.addserver(server, function()
      expensive.compute(0.005)
      handled = handled + 1
    end)
    check.await(function() return handled == 20 end)
  end)
  check.ok("connections that come at once", turns >= 18, turns)
  copas.removeserver(server)
end)

-- What never makes its user wait.
check.run(function()
  local queue = require "copas.queue".new()
  local semaphore = require "copas.semaphore".new(10, 10)
  local lock = require "copas.lock".new()
  for i = 1, 40 do queue:push(i) end
  local turns = turnsDuring(function()
    for i = 1, 20 do
      assert(queue:pop() == i)
      expensive.compute(0.005)
    end
  end)
  check.ok("items of a queue", turns >= 18, turns)
  turns = turnsDuring(function()
    for i = 21, 40 do
      assert(queue:pop(0) == i)
      expensive.compute(0.005)
    end
  end)
  check.ok("a timeout of 0 is not to wait", turns == 0, turns)
  turns = turnsDuring(function()
    for _ = 1, 20 do
      assert(semaphore:take())
      semaphore:give()
      expensive.compute(0.005)
    end
  end)
  check.ok("resources", turns >= 18, turns)
  turns = turnsDuring(function()
    for _ = 1, 1000 do
      assert(lock:get())
      lock:release()
    end
  end)
  check.ok("a lock that is free", turns >= 10, turns)
  local worked = 0
  for i = 1, 20 do queue:push(i) end
  turns = turnsDuring(function()
    queue:add_worker(function()
      worked = worked + 1
      expensive.compute(0.005)
    end)
    check.await(function() return worked == 20 end)
  end)
  check.ok("a worker with enough to do", turns >= 18, turns)
  queue:destroy()
end)

-- One operation of a peer that is as fast as this side: it takes several turns.
check.run(function()
  local script = os.tmpname()
  local server, number = check.listener()
  -- Another process: what it sends, and takes, comes while the operation is under way.
  local file = io.open(script, "w")
  file:write(([[
    local socket = require "socket"
    local c = socket.connect("127.0.0.1", %d)
    local data = ("x"):rep(1024 * 1024)
    for _ = 1, 200 do c:send(data) end
    for _ = 1, 200 do c:receive(#data) end
    c:close()
  ]]):format(number))
  file:close()
  os.execute("lua5.4 " .. script .. " &")
  check.arrived(server)
  local other = server:accept()
  server:close()
  local size = 200 * 1024 * 1024
  local turns = turnsDuring(function() assert(#copas.receive(other, size) == size) end)
  check.ok("much to receive", turns > 10, turns)
  turns = turnsDuring(function() assert(copas.send(other, ("x"):rep(size)) == size) end)
  check.ok("much to send", turns > 5, turns)
  other:close()
  os.remove(script)
end)
