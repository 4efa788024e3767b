-- oks: 63
-- TCP sockets, pipes, socket pairs and descriptors, by their try functions.
local xpio = require "xpio"
local check = require "check"
local results, equal, raises, pack = check.results, check.equal, check.raises, table.pack

results("unknown types", pack(xpio.socket("FOO")), nil, "xpio: unsupported socket type")
raises("a type is a string", "(string expected, got table)", xpio.socket, {})

local server = assert(xpio.socket("TCP"))
check.ok("sockets are userdata with methods in a metatable",
  type(server) == "userdata" and getmetatable(server).__index.bind == server.bind)
check.ok("they say what they are", tostring(server):find("^xpio socket: 0x%x+ %(descriptor %d+%)$"), tostring(server))
check.ok("they do not block", server:getsockopt("O_NONBLOCK"))
results("bind", pack(server:bind("127.0.0.1")), true)
local name = server:getsockname()
check.ok("a port that the system picked", name:find("^127%.0%.0%.1:%d+$"), name)
results("listen", pack(server:listen(16)), true)
results("listen again, with the default", pack(server:listen()), true)
results("accept when nobody is there", pack(server:try_accept()), nil, "retry")
results("a port in use", pack(xpio.socket("TCP"):bind(name)), nil, "Address already in use")

local client = assert(xpio.socket("TCP"))
results("connect succeeds at last", pack(check.await(client, "connect", "write", name)), true)
results("and stays connected", pack(client:try_connect(name)), true)
local accepted = check.await(server, "accept", "read")
check.ok("accept returns a new socket", getmetatable(accepted) == getmetatable(client) and accepted ~= client)
check.ok("accepted sockets do not block", accepted:getsockopt("O_NONBLOCK"))
equal("the peer's name", accepted:getpeername(), client:getsockname())
equal("and the other's", client:getpeername(), name)
results("a peer there is not", pack(server:getpeername()), nil, "Transport endpoint is not connected")

results("nothing to read yet", pack(accepted:try_read(10)), nil, "retry")
results("write says how much", pack(client:try_write("hello world")), 11)
results("numbers are written as text", pack(client:try_write(12.5)), 4)
results("read gets up to so much", pack(check.await(accepted, "read", "read", 5)), "hello")
results("and the rest", pack(check.await(accepted, "read", "read", 100)), " world12.5")
results("then nothing again", pack(accepted:try_read(100)), nil, "retry")
results("an empty write", pack(client:try_write("")), 0)
results("a read of nothing is empty", pack(accepted:try_read(0)), "")
results("a fraction of a byte is none", pack(accepted:try_read(0.5)), "")
raises("negative sizes", "(a number of 0 or more expected, got -1.0)", accepted.try_read, accepted, -1)
raises("sizes that are no numbers", "(number expected, got string)", accepted.try_read, accepted, "x")
raises("not a number", "(a number of 0 or more expected, got nan)", accepted.try_read, accepted, 0/0)
raises("data that is no string", "(string expected, got nil)", client.try_write, client, nil)
raises("methods of something else", "(xpio socket expected, got table)", client.try_write, {}, "x")

local sent, total, failure = 0, 0, nil
repeat
  sent, failure = client:try_write(("x"):rep(100000))
  total = total + (sent or 0)
until not sent
results("a full socket", pack(sent, failure), nil, "retry")
local received = 0
while received < total do received = received + #check.await(accepted, "read", "read", math.huge) end
equal("all of it arrives", received, total)
check.ok("then there is room again", check.await(client, "write", "write", "x") == 1)
equal("the last byte", check.await(accepted, "read", "read", 10), "x")

results("shutdown of writing", pack(client:shutdown("w")), true)
results("the peer sees the end", pack(check.await(accepted, "read", "read", 10)), nil)
results("again and again", pack(accepted:try_read(10)), nil)
equal("the other direction works", accepted:try_write("bye"), 3)
equal("and arrives", check.await(client, "read", "read", 10), "bye")
results("writing is over", pack(client:try_write("x")), nil, "Broken pipe")
results("shutdown of both", pack(accepted:shutdown("rw")), true)
results("shutdown of nothing", pack(accepted:shutdown("")), true)
results("shutdown of what is not connected", pack(xpio.socket("TCP"):shutdown("r")), nil, "Transport endpoint is not connected")

local number = client:fileno()
check.ok("fileno", math.type(number) == "integer" and number > 2)
results("close", pack(client:close()), true)
results("close again", pack(client:close()), nil, "already closed")
equal("fileno of a closed one", client:fileno(), -1)
local same = true
for _, call in ipairs {{"try_read", 1}, {"try_write", "x"}, {"try_accept"}, {"try_connect", name}, {"bind", name}, {"listen"},
  {"getsockname"}, {"getpeername"}, {"shutdown", "r"}, {"getsockopt", "SO_KEEPALIVE"}, {"setsockopt", "SO_KEEPALIVE", true},
  {"getsockopt", "O_NONBLOCK"}, {"setsockopt", "O_NONBLOCK", true}, {"try_recvfrom", 10}, {"try_sendto", "x", name}} do
  local value, why = client[call[1]](client, table.unpack(call, 2))
  same = same and value == nil and why == "Bad file descriptor"
end
check.ok("everything else on a closed one says so", same)
results("but a read of nothing", pack(client:try_read(0)), "")
check.ok("a closed one says what it is", tostring(client):find("%(closed%)$"), tostring(client))
server:close()
local refused = xpio.socket("TCP")
results("nobody listens", pack(check.await(refused, "connect", "write", name)), nil, "Connection refused")

local read, write = xpio.pipe()
equal("a pipe", write:try_write("through"), 7)
equal("is read at its first end", read:try_read(100), "through")
check.ok("pipes do not block", read:getsockopt("O_NONBLOCK") and write:getsockopt("O_NONBLOCK"))
results("a pipe has no name", pack(read:getsockname()), nil, "Socket operation on non-socket")

local one, other = xpio.socketpair()
one:try_write("a")
other:try_write("b")
equal("a pair of sockets, in both directions", other:try_read(9) .. one:try_read(9), "ab")

write:setsockopt("O_NONBLOCK", false)
local copy = xpio.fdopen(write:fileno())
check.ok("fdopen duplicates, and leaves blocking alone",
  copy:fileno() ~= write:fileno() and copy:getsockopt("O_NONBLOCK") == false)
write:close()
copy:try_write("still open")
equal("each has its own descriptor", read:try_read(100), "still open")
results("fdopen of what is not open", pack(xpio.fdopen(12345)), nil, "Bad file descriptor")
raises("fdopen of a negative number", "(a number of 0 or more expected, got -1.0)", xpio.fdopen, -1)
do
  local _ <close> = copy
end
equal("a to-be-closed variable closes", copy:fileno(), -1)
