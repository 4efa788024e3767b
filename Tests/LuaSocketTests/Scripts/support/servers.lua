-- Small servers for HTTP, HTTPS, FTP and SMTP. `lua5.4 servers.lua kind` prints the port and serves
-- one connection after the other, until it is asked to quit, or no client comes for a minute; it
-- writes to its output what it has to tell. Required as a module, it starts them.

local IDLE = 60 -- seconds

---------------------------------------------------------------- for the tests

local M = {}

--- Starts a server: the port, and a function that waits for its end and returns its output.
function M.start(kind)
  local path = debug.getinfo(1, "S").source:sub(2)
  local output = assert(io.popen(("exec lua5.4 '%s' %s"):format(path, kind)))
  local port = assert(output:read "n")
  return port, function()
    if kind == "https" then
      require("ssl.https").request(("https://127.0.0.1:%d/quit"):format(port))
    else
      local quit = assert(require("socket").connect("127.0.0.1", port))
      quit:send "quit\r\n"
      quit:close()
    end
    local text = output:read "a"
    output:close()
    return text
  end
end

if not (arg and arg[0] and arg[0]:find "servers%.lua$") then return M end

---------------------------------------------------------------- the servers

local socket = require "socket"

-- Calls `serve` with each connection and its first line; a protocol in which the server speaks
-- first has a greeting. `secure` makes a TLS connection of another.
local function loop(greeting, serve, secure)
  local listener = assert(socket.bind("127.0.0.1", 0))
  listener:settimeout(IDLE)
  print((select(2, listener:getsockname())))
  io.stdout:flush()
  while true do
    local c = listener:accept()
    if not c then return end
    c:settimeout(IDLE)
    if secure then c = secure(c) end
    if greeting then c:send(greeting) end
    local line = c:receive()
    if line == "quit" or line == "GET /quit HTTP/1.1" then return end
    if line then serve(c, line) end
    c:close()
  end
end

local function receivehead(c)
  local fields = {}
  for line in function() return c:receive() end do
    if line == "" then break end
    local name, value = line:match "^(.-):%s*(.*)$"
    fields[name:lower()] = value
  end
  return fields
end

local function receivebody(c, fields)
  if fields["content-length"] then return c:receive(tonumber(fields["content-length"])) end
  if not fields["transfer-encoding"] then return "" end
  local parts = {}
  while true do
    local size = tonumber(c:receive(), 16)
    if size == 0 then break end
    parts[#parts + 1] = c:receive(size)
    c:receive()
  end
  c:receive()
  return table.concat(parts)
end

local function text(c, body, status)
  c:send(("HTTP/1.1 %s\r\nContent-Length: %d\r\nX-Test: yes\r\n\r\n%s"):format(status or "200 OK", #body, body))
end

local big = ("0123456789"):rep(30000)

local pages = {
  ["/big"] = function(c) text(c, big) end,
  ["/chunks"] = function(c)
    c:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _, size in ipairs { 1, 10, 3000, 70000 } do
      c:send(("%x\r\n%s\r\n"):format(size, big:sub(1, size)))
    end
    c:send "0\r\nTrailer: x\r\n\r\n"
  end,
  ["/closed"] = function(c) c:send "HTTP/1.0 200 OK\r\n\r\nall there is" end,
  ["/old"] = function(c) c:send "no head at all" end,
  ["/continue"] = function(c)
    c:send "HTTP/1.1 100 Continue\r\n\r\n"
    text(c, "continued")
  end,
  ["/kept"] = function(c) -- the connection stays open: only what is announced may be waited for
    text(c, "kept")
    c:receive "*a"
  end,
  ["/truncated"] = function(c) c:send "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort" end,
  ["/silent"] = function(c) c:receive "*a" end,
  ["/secure"] = function(c)
    c:send "HTTP/1.1 302 Found\r\nLocation: https://localhost:1/\r\nContent-Length: 0\r\n\r\n"
  end,
  ["/insecure"] = function(c)
    c:send "HTTP/1.1 302 Found\r\nLocation: http://localhost:1/\r\nContent-Length: 0\r\n\r\n"
  end,
  ["/nothing"] = function(c) text(c, "not here", "404 Not Found") end,
  ["/empty"] = function(c) c:send "HTTP/1.1 204 No Content\r\n\r\n" end,
}

local function http(c, line)
  local method, uri = line:match "^(%u+) (%S+)"
  local fields = receivehead(c)
  local body = receivebody(c, fields)
  local hops = tonumber(uri:match "^/hop%?(%d+)$")
  if hops and hops > 0 then
    c:send(("HTTP/1.1 302 Found\r\nLocation: /hop?%d\r\nContent-Length: 0\r\n\r\n"):format(hops - 1))
  elseif pages[uri] then
    pages[uri](c)
  elseif method == "HEAD" then
    c:send "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
  else
    text(c, ("%s %s %d %s %s"):format(method, uri:gsub("%d+", "N", 1), #body, body:sub(1, 20),
      fields["authorization"] or ""))
  end
end

local stored = { ["index.txt"] = "one\r\ntwo\r\n", ["big"] = big }

local ftp = {}

local function transfer(c, session, move)
  local data, err
  if session.listener then
    data, err = session.listener:accept()
    session.listener:close()
  else
    data, err = socket.connect(session.host, session.port)
  end
  if not data then return c:send("425 " .. err .. "\r\n") end
  data:settimeout(IDLE)
  c:send "150 opening\r\n"
  move(data)
  data:close()
  c:send "226 done\r\n"
end

local function listen(session)
  session.listener = assert(socket.bind("127.0.0.1", 0))
  session.listener:settimeout(IDLE)
  return tonumber((select(2, session.listener:getsockname())))
end

function ftp.USER(c, name) c:send(name == "nobody" and "530 no\r\n" or "331 password\r\n") end
function ftp.PASS(c, word) c:send(word == "wrong" and "530 no\r\n" or "230-in\r\n 999 more\r\n230 ok\r\n") end
function ftp.TYPE(c, type) c:send(type:find "^[aiAI]$" and "200 ok\r\n" or "504 no\r\n") end
function ftp.CWD(c) c:send "250 there\r\n" end
function ftp.DELE(c, name)
  c:send(stored[name] and "250 gone\r\n" or "550 no such file\r\n")
  stored[name] = nil
end
function ftp.EPSV(c, _, session)
  if session.old then return c:send "500 what\r\n" end
  c:send(("229 Entering (|||%d|)\r\n"):format(listen(session)))
end
function ftp.PASV(c, _, session) -- names an address that is not the server's
  local port = listen(session)
  c:send(("227 Entering (10,0,0,1,%d,%d)\r\n"):format(port // 256, port % 256))
end
function ftp.PORT(c, where, session)
  local host, high, low = where:match "^(%d+,%d+,%d+,%d+),(%d+),(%d+)$"
  session.host, session.port = host:gsub(",", "."), high * 256 + low
  c:send "200 ok\r\n"
end
function ftp.RETR(c, name, session)
  if not stored[name] then return c:send "550 no such file\r\n" end
  transfer(c, session, function(data) data:send(stored[name]) end)
end
function ftp.STOR(c, name, session)
  transfer(c, session, function(data) stored[name] = data:receive "*a" or "" end)
end
function ftp.APPE(c, name, session)
  transfer(c, session, function(data) stored[name] = (stored[name] or "") .. (data:receive "*a" or "") end)
end
function ftp.NLST(c, _, session)
  local names = {}
  for name in pairs(stored) do names[#names + 1] = name .. "\r\n" end
  table.sort(names)
  transfer(c, session, function(data) data:send(table.concat(names)) end)
end

-- One command after the other, until the client says good-bye.
local function session(commands, unknown)
  return function(c, line)
    local state = {}
    while line do
      local name, argument = line:match "^(%a+) ?(.*)$"
      name = (name or ""):upper()
      if name == "QUIT" then return c:send "221 bye\r\n" end
      if name == "USER" and argument == "old" then state.old = true end
      if commands[name] then
        commands[name](c, argument, state)
      else
        c:send(unknown)
      end
      line = c:receive()
    end
  end
end

local smtp = {}

function smtp.EHLO(c) c:send "250-here\r\n250-AUTH PLAIN LOGIN\r\n250 OK\r\n" end
function smtp.MAIL(c) c:send "250 ok\r\n" end
function smtp.RCPT(c, to) c:send(to:find "nobody" and "550 no\r\n" or "250 ok\r\n") end
function smtp.AUTH(c, what)
  local answers = { what }
  if what == "LOGIN" then
    c:send "334 VXNlcm5hbWU6\r\n"
    answers[2] = c:receive()
    c:send "334 UGFzc3dvcmQ6\r\n"
    answers[3] = c:receive()
  end
  print("auth " .. table.concat(answers, " "))
  c:send "235 ok\r\n"
end
function smtp.DATA(c)
  c:send "354 go\r\n"
  local line = c:receive()
  while line and line ~= "." do
    print("| " .. line)
    line = c:receive()
  end
  c:send "250 taken\r\n"
end

-- Makes TLS connections, with a certificate without a signer.
local function tls()
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute(("mkdir '%s' && cd '%s' && openssl req -x509 -newkey ec -nodes -days 1 "
    .. "-pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=localhost -keyout key -out certificate 2>errors"
  ):format(folder, folder)))
  local ssl = require "ssl"
  local context = assert(ssl.newcontext {
    mode = "server", protocol = "any", key = folder .. "/key", certificate = folder .. "/certificate",
  })
  os.execute(("rm -r '%s'"):format(folder))
  return function(c)
    local secured = assert(ssl.wrap(c, context))
    secured:settimeout(IDLE)
    secured:dohandshake()
    return secured
  end
end

local kinds = {
  http = { nil, http },
  https = { nil, http, arg[1] == "https" and tls() or nil },
  ftp = { "220-hello\r\n220 ready\r\n", session(ftp, "502 unknown\r\n") },
  smtp = { "220 ready\r\n", session(smtp, "502 unknown\r\n") },
}
loop(table.unpack(kinds[arg[1]], 1, 3))
