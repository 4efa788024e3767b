-- Messages of many clients that do not end, and too little memory for them: connections end, the
-- servers go on.
local copas, socket, tango, rpc = require 'copas', require 'socket', require 'tango', require 'rpc'
copas.setErrorHandler(function(message) io.stderr:write(tostring(message), '\n') end, true)
local api = {f = function(x) return #x end}
local server, handler = tango.server.copas_socket.new {port = 0, functab = api}
copas.addserver(server, handler)
local events = tango.server.ev_socket.new {port = 0, functab = api}
local peers = rpc.newserveronly('127.0.0.1', 0, {functab = api})
local function port(s) return (select(2, s:getsockname())) end

local text = '{"f","' .. ('x'):rep(15000000)
local starts = {
  {port(server), '16000000\n' .. text},
  {port(events), '16000000\n' .. text},
  {port(peers), '\0\1' .. string.pack('>I4', 16000000) .. text},
}
text = nil
copas.addthread(function()
  for _, start in ipairs(starts) do
    local held = {}
    for i = 1, 14 do
      local c = copas.wrap(socket.tcp())
      c:settimeout(10)
      if c:connect('127.0.0.1', start[1]) then c:send(start[2]) end
      held[i] = c
    end
    for _, c in ipairs(held) do c:close() end
  end
  for _, p in ipairs {starts[1][1], starts[2][1]} do
    local con = tango.client.socket.connect {address = '127.0.0.1', port = p}
    assert(con.f 'three' == 5)
  end
  local peer = assert(rpc.newclient('127.0.0.1', starts[3][1]))
  assert(peer:call('f', 'three') == 5)
  print 'alive'
  os.exit(0)
end)
copas.loop()
