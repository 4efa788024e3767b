-- oks: 25
-- Datagrams.
local xpio = require "xpio"
local check = require "check"
local dispatcher = require "dispatcher"
local equal, pack = check.equal, table.pack

for _, host in ipairs {"127.0.0.1", "[::1]"} do
  local server, client = assert(xpio.socket("UDP")), assert(xpio.socket("UDP"))
  assert(server:bind(host))
  check.results(host .. ": connect need not wait", pack(client:try_connect(server:getsockname())), true)
  equal(host .. ": write", client:try_write("one"), 3)
  equal(host .. ": an empty datagram", client:try_write(""), 0)
  equal(host .. ": read", check.await(server, "read", "read", 100), "one")
  equal(host .. ": of an empty one", check.await(server, "read", "read", 100), "")
  check.results(host .. ": and no more", pack(server:try_read(100)), nil, "retry")
  client:try_write("a long datagram")
  client:try_write("b")
  equal(host .. ": what does not fit is lost", check.await(server, "read", "read", 6), "a long")
  check.results(host .. ": with its sender", pack(check.await(server, "recvfrom", "read", 100)), "b", client:getsockname())
  equal(host .. ": sendto", server:try_sendto("answer", client:getsockname()), 6)
end
do
  local server, client = xpio.socket("UDP"), xpio.socket("UDP")
  local path = "unix:@" .. check.path("udp")
  assert(server:bind(path))
  equal("Unix datagrams", client:try_sendto("hello", path), 5)
  check.results("from a socket without a name", pack(check.await(server, "recvfrom", "read", 10)), "hello", nil)
  check.raises("no size", "(a size of 0 would throw the datagram away)", server.try_recvfrom, server, 0)
  check.results("no address", pack(client:try_sendto("x", "nowhere")), nil, "xpio: mal-formed address argument")
  local one, other = xpio.socketpair()
  one:try_write("stream")
  check.results("of a connection there is no sender", pack(other:try_recvfrom(10)), "stream", nil)
  one:close()
  check.results("but an end", pack(other:try_recvfrom(10)), nil)
end
check.run(function()
  local server = assert(xpio.socket("UDP"))
  assert(server:bind("127.0.0.1"))
  local thread = dispatcher.start(function()
    for _ = 1, 3 do
      local data, from = server:recvfrom(100)
      server:sendto(data:upper(), from)
    end
  end)
  local client, answers = assert(xpio.socket("UDP")), {}
  assert(client:connect(server:getsockname()))
  for i = 1, 3 do
    client:write("ping" .. i)
    answers[i] = client:read(100)
  end
  dispatcher.join(thread)
  equal("blocking functions", table.concat(answers), "PING1PING2PING3")
end)
