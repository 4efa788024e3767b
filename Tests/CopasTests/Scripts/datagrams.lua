-- oks: 24
local copas = require "copas"
local socket = require "socket"
local check = require "check"

local function bound(host)
  local u = assert(socket.udp())
  assert(u:setsockname(host or "127.0.0.1", 0))
  return u, (select(2, u:getsockname()))
end

-- A server: one coroutine for all datagrams.
local server, port = bound()
local names = {}
copas.addserver(server, function(skt)
  names[1], names[2] = copas.getthreadname(), copas.getsocketname(skt)
  skt = copas.wrap(skt)
  check.ok("wrapped", tostring(skt):find "^udp{unconnected}.*copas wrapped")
  while true do
    local data, host, from = skt:receivefrom(65536)
    if not data then return end
    skt:sendto(data:upper(), host, from)
  end
end, nil, "upper")

check.run(function()
  local c = copas.wrap(socket.udp())
  check.equal("peer", c:setpeername("127.0.0.1", port), 1)
  c:settimeout(60)
  check.equal("send", c:send "hello", 5)
  check.equal("answer", c:receive(), "HELLO")
  check.equal("names", table.concat(names, " "), "upper:handler upper")
  check.equal("cut", c:send "0123456789" and c:receive(4), "0123")
  check.equal("large", c:send(("x"):rep(60000)) and #c:receive(65536), 60000)
  check.equal("default size", c:send(("x"):rep(60000)) and #c:receive(), 8192)
  check.equal("empty", c:send "" and c:receive(), "")

  local started = copas.gettime()
  c:settimeout(0.05)
  local data, message = c:receive()
  check.ok("timeout", data == nil and message == "timeout", data, message)
  check.ok("in time", copas.gettime() - started >= 0.05 and copas.gettime() - started < 30)

  -- plain functions
  local plain = bound()
  copas.settimeout(plain, 60)
  check.equal("sendto", copas.sendto(plain, "plain", "127.0.0.1", port), 5)
  local text, host, from = copas.receivefrom(plain)
  check.ok("receivefrom", text == "PLAIN" and host == "127.0.0.1" and from == port, text, host, from)
  check.equal("sendto", copas.sendto(plain, "again", "127.0.0.1", port), 5)
  check.equal("receive", copas.receive(plain, 100), "AGAIN")
  check.ok("receive needs a size", not pcall(copas.receive, plain))

  -- two wait on one socket; others run meanwhile
  local shared, sharedPort = bound()
  local got, ticks = {}, 0
  for i = 1, 2 do copas.addthread(function() got[i] = copas.receivefrom(shared) end) end
  local ticker = copas.addthread(function() while true do ticks = ticks + 1 copas.pause(0.001) end end)
  check.await(function() return ticks > 3 end)
  for i = 1, 2 do
    copas.sendto(plain, tostring(i), "127.0.0.1", sharedPort)
    check.await(function() return got[1] and got[2] or i == 1 and (got[1] or got[2]) end)
  end
  table.sort(got)
  check.equal("two readers", table.concat(got), "12")
  check.ok("others run", ticks > 3, ticks)
  copas.removethread(ticker)

  -- closing wakes the thread that waits
  local reason
  copas.addthread(function() reason = select(2, copas.receivefrom(shared)) end)
  copas.pause(0.01)
  copas.close(shared)
  check.await(function() return reason end)
  check.equal("closed", reason, "closed")

  check.equal("keep open", copas.removeserver(server, true), true)
  check.ok("not served", c:send "hello" and c:receive() == nil)
  check.equal("remove", copas.removeserver(server), 1)

  check.ok("close", c:close())
  check.equal("closed", select(2, c:receive()), "closed")
end)
