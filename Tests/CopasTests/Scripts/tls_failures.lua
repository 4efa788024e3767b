-- oks: 50
-- A TLS connection that fails costs itself only: LuaSec is not called again, nothing spins, and the
-- others go on.
local copas = require "copas"
local http = require "copas.http"
local socket = require "socket"
local check = require "check"
local secure = require "secure"

local reports = {}
copas.seterrorhandler(function(message) reports[#reports + 1] = tostring(message) end, true)

-- A plain object over the descriptor of another library's. `setfd(-1)` lets go of it.
local function over(object)
  local plain = check.pair()
  plain:close()
  plain:setfd(object:getfd())
  return plain
end

-- Objects of LuaSec whose descriptors were closed behind their backs: their finalizers must not
-- run.
local lost = {}

-- Ends the client's connection without a goodbye.
local function lose(client, how)
  lost[#lost + 1] = client
  local plain = over(client)
  if how == "reset" then
    plain:setoption("linger", {on = true, timeout = 0})
    -- Only the last descriptor's end resets the connection.
    plain:close()
  else
    plain:shutdown "both"
    plain:setfd(-1)
  end
end

check.run(function()
  for _, how in ipairs {"end", "reset"} do
    for _, kind in ipairs {"plain", "wrapped"} do
      local name = how .. ", " .. kind .. ": "
      local client, server = secure.pair()
      local object = kind == "plain" and server or copas.wrap(server)
      local function receive(...) return copas.receive(server, ...) end
      local function send(...) return copas.send(server, ...) end
      if kind == "wrapped" then
        receive = function(...) return object:receive(...) end
        send = function(...) return object:send(...) end
      end
      copas.addthread(function() copas.pause(0.005) lose(client, how) end)
      local data, reason, part = receive()
      check.ok(name .. "receive", data == nil and type(reason) == "string" and part == "", data, reason, part)
      for i = 1, 3 do
        data, reason, part = receive(i % 2 == 0 and "*a" or 10, "pre")
        check.ok(name .. "receive again", data == nil and type(reason) == "string" and part == "pre", data, reason, part)
      end
      if how == "end" then
        check.equal(name .. "which error", reason, "unexpected eof while reading")
        local sent, why, last = send("abc", 2)
        check.ok(name .. "send", sent == nil and why == reason and last == 1, sent, why, last)
        local ok, err = pcall(copas.dohandshake, server)
        check.ok(name .. "handshake", not ok and err:find(reason, 1, true), err)
      end
      data, reason = copas.receivepartial(server)
      check.ok(name .. "receivepartial", data == nil and reason, data, reason)
      object:close()
      check.equal(name .. "after close", select(2, receive()), reason)
    end
  end

  -- Two wait when it happens: one to read, one to write.
  local client, server = secure.pair()
  local read, written
  copas.addthread(function() read = select(2, copas.receive(server)) end)
  copas.addthread(function() written = select(2, copas.send(server, ("x"):rep(20000000))) end)
  copas.pause(0.01)
  lose(client, "end")
  check.await(function() return read and written end)
  check.ok("a reader and a writer", read and written, read, written)
  server:close()

  -- A peer that does not read must not stop other threads with the goodbye.
  for _, way in ipairs {"copas.close", "wrapped", "collected"} do
    client, server = secure.pair()
    local plain = over(server)
    plain:settimeout(0)
    check.equal("the way is full", select(2, plain:send(("x"):rep(20000000))), "timeout")
    plain:setfd(-1)
    local started = copas.gettime()
    if way == "copas.close" then
      copas.close(server)
    else
      local wrapped = copas.wrap(server)
      if way == "wrapped" then wrapped:close() end
      wrapped, server = nil, nil
      collectgarbage()
      collectgarbage()
    end
    check.ok("close does not wait: " .. way, copas.gettime() - started < 10)
    client:close()
  end

  -- Clients of all kinds, to one server; a good one in between is served.
  local listener, port = check.listener()
  copas.addserver(listener, copas.handler(function(skt)
    -- A handler that knows one error only.
    for _ = 1, 1000 do
      local line, reason = skt:receive()
      if line == "fail" then error "the handler fails" end
      if line then skt:send(line:upper() .. "\n") elseif reason == "closed" then return end
    end
  end, {wrap = secure.serverSide}))
  local function good()
    local c = copas.wrap(socket.tcp(), {wrap = secure.clientSide})
    c:settimeout(60)
    assert(c:connect("127.0.0.1", port))
    assert(c:send "hello\n")
    return c:receive(), c
  end
  local bad = {
    ["a stranger"] = function(raw) raw:send "GET / HTTP/1.0\r\n\r\n" end,
    ["one who leaves at once"] = function() end,
    ["one who resets at once"] = function(raw) raw:setoption("linger", {on = true, timeout = 0}) end,
    ["half a hello"] = function(raw) raw:send "\22\3\1\2\0\1\0" end,
  }
  for name, act in pairs(bad) do
    local raw = assert(socket.connect("127.0.0.1", port))
    act(raw)
    raw:close()
    check.equal(name .. ", and others are served", (good()), "HELLO")
  end
  for _, how in ipairs {"end", "reset"} do
    local _, c = good()
    lose(c.socket, how)
    check.equal("a lost client (" .. how .. "), and others are served", (good()), "HELLO")
  end
  local _, c = good()
  c:send "fail\n"
  check.await(function() return table.concat(reports):find "the handler fails" end)
  check.equal("a handler that fails, and others are served", (good()), "HELLO")
  copas.removeserver(listener)

  -- A server that is lost in the middle of its answer.
  local head = "HTTP/1.1 200 OK\r\n"
  for _, part in ipairs {
    "", "HTTP/1.1 200", head .. "x: y\r\n", head .. "content-length: 100\r\n\r\nabc",
    head .. "transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n", head .. "\r\nabc",
  } do
    listener, port = check.listener()
    copas.addserver(listener, copas.handler(function(skt)
      skt:receive()
      skt:send(part)
      lose(skt.socket, "end")
    end, {wrap = secure.serverSide}))
    local answer, reason = http.request {
      url = ("https://127.0.0.1:%d/"):format(port), sslparams = secure.clientSide, sink = function() return 1 end,
    }
    check.ok("a request whose server is lost after " .. #part .. " bytes",
      answer == nil and type(reason) == "string", answer, reason)
    copas.removeserver(listener)
  end
end)
secure.certificates:remove()
os.exit(0)
