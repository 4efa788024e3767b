-- oks: 29
-- copas.ftp: transfers in threads, both ways of the data connection.
local copas = require "copas"
local socket = require "socket"
local ftp = copas.ftp
local original = require "socket.ftp"
local ltn12 = require "ltn12"
local check = require "check"
local web = require "web"

local big = ("0123456789"):rep(100000)
local files = {["small.txt"] = "one\r\ntwo\r\n", big = big}
local commands = {}

-- The server's end of the data connection: it connects after PORT, and has been connected to after
-- EPSV.
local function opendata(session)
  if session.where then
    local c = copas.wrap(socket.tcp())
    c:connect("127.0.0.1", session.where)
    return c
  end
  while not session.accepted do copas.pause(0.001) end
  return session.accepted
end

local function transfer(c, session, move)
  c:send "150 opening\r\n"
  local data = opendata(session)
  data:settimeout(60)
  move(data)
  data:close()
  session.accepted, session.where, session.over = nil, nil, true
  c:send "226 done\r\n"
end

local answers = {}
function answers.USER(c, name) c:send(name == "nobody" and "530 no\r\n" or "331 password\r\n") end
function answers.PASS(c) c:send "230-in\r\n230 ok\r\n" end
function answers.TYPE(c) c:send "200 ok\r\n" end
function answers.CWD(c) c:send "250 ok\r\n" end
function answers.EPSV(c, _, session)
  local server, port = check.listener()
  session.over = false
  copas.addserver(server, function(data) -- takes one connection
    copas.removeserver(server)
    session.accepted = copas.wrap(data)
    while not session.over do copas.pause(0.001) end
  end)
  c:send(("229 Entering (|||%d|)\r\n"):format(port))
end
function answers.PORT(c, argument, session)
  local high, low = argument:match "(%d+),(%d+)$"
  session.where = high * 256 + low
  c:send "200 ok\r\n"
end
function answers.RETR(c, name, session)
  if not files[name] then return c:send "550 no such file\r\n" end
  transfer(c, session, function(data) data:send(files[name]) end)
end
function answers.STOR(c, name, session)
  transfer(c, session, function(data) files[name] = data:receive "*a" end)
end

local port = web.listen(function(c)
  local session = {}
  c:send "220-hello\r\n220 ready\r\n"
  for line in function() return c:receive() end do
    commands[#commands + 1] = line
    local name, argument = line:match "^(%u+) ?(.*)$"
    if name == "QUIT" then
      c:send "221 bye\r\n"
      break
    end
    if answers[name] then answers[name](c, argument, session) else c:send "502 unknown\r\n" end
  end
  session.over = true
end)
local function at(path) return ("ftp://localhost:%d/%s"):format(port, path) end

check.equal("a module and a field of copas", require "copas.ftp", ftp)
ftp.TIMEOUT, ftp.USER = 60, "tester"
check.ok("settings are the same", original.TIMEOUT == 60 and original.USER == "tester")

check.run(function()
  check.equal("get", ftp.get(at "small.txt;type=i"), "one\r\ntwo\r\n")
  check.equal("logs in", table.concat(commands, " ", 1, 3), "USER tester PASS anonymous@anonymous.org TYPE i")
  check.equal("much", ftp.get(at "big"), big)
  check.equal("put", ftp.put(at "new", "contents"), 8)
  check.equal("is there", files.new, "contents")
  check.equal("put much", ftp.put(at "large", big), #big)
  check.ok("all of it", files.large == big)
  local request = {
    host = "localhost", port = port, path = "/small.txt", user = "u", password = "p", active = true,
  }
  local got = {}
  request.sink = ltn12.sink.table(got)
  check.equal("active", ftp.get(request), 1)
  check.ok("the server has connected", table.concat(got) == "one\r\ntwo\r\n"
    and table.concat(commands, "\n"):find "PORT 127,0,0,1")
  check.equal("the request is left as it is", request.create, nil)
  check.equal("put, active", ftp.put {
    host = "localhost", port = port, path = "/active", active = true, source = ltn12.source.string "sent",
  }, 4)
  check.equal("is there", files.active, "sent")
  check.equal("command", ftp.command {host = "localhost", port = port, command = "cwd", argument = "x", check = 250}, 1)
  local generic = ftp.parseRequest(at "small.txt")
  check.equal("parseRequest", ftp.get(generic), 1)
  check.equal("its target", table.concat(generic.target), files["small.txt"])
  generic = ftp.parseRequest(at "generic", "body")
  check.ok("with a body", ftp.put(generic) == 4 and files.generic == "body")
  local made = 0
  generic = ftp.parseRequest(at "small.txt")
  generic.create = function()
    made = made + 1
    return copas.wrap(socket.tcp())
  end
  check.ok("create", ftp.get(generic) == 1 and made == 1, made)

  ---------------------------------------------------------------- many at once
  local good, done, ticks = 0, 0, 0
  for i = 1, 20 do
    copas.addthread(function()
      local name = "file" .. i
      if ftp.put(at(name), name:rep(1000)) and ftp.get(at(name)) == name:rep(1000) then good = good + 1 end
      done = done + 1
    end)
  end
  while done < 20 do
    copas.pause(0.001)
    ticks = ticks + 1
  end
  check.equal("many transfers", good, 20)
  check.ok("wait for each other only", ticks > 3, ticks)

  ---------------------------------------------------------------- failures
  local function failure(what, expected, nothing, err)
    check.ok(what, nothing == nil and err == expected, err)
  end
  failure("no such file", "550 no such file", ftp.get(at "absent"))
  failure("no such user", "530 no", ftp.get(("ftp://nobody:x@localhost:%d/big"):format(port)))
  failure("another scheme", "wrong scheme 'http'", ftp.get "http://localhost/")
  failure("no sink", "missing sink", ftp.get {host = "localhost", port = port})
  failure("refused", "connection refused", ftp.get(("ftp://localhost:%d/x"):format(check.freePort())))
  local silent = web.listen(function(c) c:receive "*a" end)
  ftp.TIMEOUT = 0.05
  failure("a silent server", "timeout", ftp.get(("ftp://localhost:%d/x"):format(silent)))
  answers.PORT = function(c) c:send "200 never\r\n" end
  answers.RETR = function(c) c:send "150 wait\r\n" end
  request.active = true
  failure("nobody connects", "timeout", ftp.get(request))
  answers.EPSV = function(c)
    c:send(("229 Entering (|||%d|)\r\n"):format(silent))
  end
  failure("no data", "timeout", ftp.get(at "big"))
  ftp.TIMEOUT = 10
  web.stop()
end)
