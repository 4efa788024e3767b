-- socket.ftp over TCP, with a server in another process.
local ftp = require "socket.ftp"
local ltn12 = require "ltn12"
local servers = require "servers"
local t = require "show"

ftp.TIMEOUT = 10
local port, stop = servers.start "ftp"

local function url(path, who) return ("ftp://%s127.0.0.1:%d/%s"):format(who or "", port, path) end
local function request(fields)
  fields.host, fields.port = "127.0.0.1", port
  return fields
end

t.show("get", ftp.get(url "index.txt;type=a"))
t.show("get without type", ftp.get(url "index.txt"))
t.show("get big", ftp.get(url "big;type=i"))
t.show("get nothing", ftp.get(url "nothing"))
t.show("put", ftp.put(url "new;type=i", ("data"):rep(10000)))
t.show("get new", ftp.get(url "new;type=i"))
t.show("put empty", ftp.put(url "empty", ""))
t.show("get empty", ftp.get(url "empty"))
t.show("append", ftp.put(request {
  command = "appe", argument = "new", source = ltn12.source.string "more",
}))
local names = {}
t.show("nlst", ftp.get(request { command = "nlst", sink = ltn12.sink.table(names) }))
t.show("names", table.concat(names))
local out = {}
t.show("generic", ftp.get(request {
  path = "/index%2etxt", type = "i", user = "me", password = "mine", sink = ltn12.sink.table(out),
}))
t.show("received", table.concat(out))
t.show("sink fails", ftp.get(request { path = "big", sink = ltn12.sink.error "full" }))
t.show("source fails", ftp.put(request { path = "x", source = ltn12.source.error "empty" }))
t.show("type refused", ftp.get(request { path = "index.txt", type = "x", sink = ltn12.sink.null() }))
t.show("nobody", ftp.get(url("index.txt", "nobody@")))
t.show("wrong password", ftp.get(url("index.txt", "me:wrong@")))
t.show("dele", ftp.command(request { command = "dele", argument = "new", check = 250 }))
t.show("dele again", ftp.command(request { command = "dele", argument = "new", check = 250 }))
t.show("commands", ftp.command(request {
  command = { "cwd", "site" }, argument = { "there", "x" },
  check = { "2..", function(code, reply)
    t.show("check", code, reply)
    return true
  end },
}))
t.show("refused", ftp.get(("ftp://127.0.0.1:%d/x"):format(t.freePort())))

-- one session, several transfers
local socket = require "socket"
t.show("session", socket.protect(function()
  local session = ftp.open("127.0.0.1", port)
  t.show("greet", session:greet())
  t.show("login", session:login())
  t.show("type", session:type "i")
  t.show("without epsv", pcall(session.receive, session, { path = "index.txt" }) == false)
end)())
t.show("session", socket.protect(function()
  local session = ftp.open("127.0.0.1", port)
  session:greet()
  session:login("me", "mine")
  for _, name in ipairs { "index.txt", "empty", "index.txt" } do
    local address, number = session:epsv()
    t.show("epsv", address, math.type(math.tointeger(number)))
    local pieces = {}
    t.show("receive", session:receive { path = name, sink = ltn12.sink.table(pieces) })
    t.show("received", table.concat(pieces))
  end
  session:epsv()
  t.show("send", session:send { argument = "third", source = ltn12.source.string "3" })
  t.show("cwd", session:cwd "x")
  t.show("quit", session:quit())
  return session:close()
end)())

t.show("server", stop())
