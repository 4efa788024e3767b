-- tango's clients and servers, on sockets, in one process.
local copas, tango = require 'copas', require 'tango'
copas.setErrorHandler(function(message) print(message) end, true)

local api = {
  add = function(a, b) return a + b end,
  echo = function(...) return ... end,
  wait = function() copas.pause(0) return true end,
  object = function() return {get = function() return 'got' end} end,
  fail = function() error {code = 1} end,
}
local value = {1, {two = ('2'):rep(3000)}, 'three', true}

local talks = 0
local function talk(port, options)
  local configuration = {address = '127.0.0.1', port = port, timeout = 2}
  for k, v in pairs(options or {}) do configuration[k] = v end
  local con = tango.client.socket.connect(configuration)
  for i = 1, 3 do
    assert(con.add(i, 1) == i + 1)
    assert(con.echo(('e'):rep(10000 * i), value))
    con.wait()
  end
  pcall(con.fail)
  local object = tango.ref(con.object)
  assert(object:get() == 'got')
  tango.unref(object)
  local futures = {}
  for i = 1, 5 do futures[i] = con.async.add(i, i) end
  for i = 1, 5 do assert(futures[i]:get() == 2 * i) end
  con.pipeline(function(p) for i = 1, 5 do p.echo(i, value) end end)
  tango.close(con)
  talks = talks + 1
  if talks == 3 then os.exit(0) end
end

local json = tango.codec.json
copas.addthread(function()
  local socket, handler = tango.server.copas_socket.new {port = 0, functab = api}
  copas.addserver(socket, handler)
  talk((select(2, socket:getsockname())))
  copas.removeserver(socket)
end)
copas.addthread(function()
  local socket, handler = tango.server.copas_socket.new {
    port = 0, functab = api, serialize = json.encode, unserialize = json.decode}
  copas.addserver(socket, handler)
  talk((select(2, socket:getsockname())), {serialize = json.encode, unserialize = json.decode})
  copas.removeserver(socket)
end)
copas.addthread(function()
  local server = tango.server.ev_socket.new {port = 0, functab = api}
  talk((select(2, server:getsockname())))
end)
copas.addthread(function() copas.pause(1.5) os.exit(1) end)
copas.loop()
