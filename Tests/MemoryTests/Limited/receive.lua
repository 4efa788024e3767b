-- What a peer sends without an end, and too little memory for it: an error, and the program goes
-- on.
local socket = require 'socket'
socket.unix = require 'socket.unix'

local sender = ([[ulimit -S -v unlimited; exec "$MILONGA" -e 'local c = require"socket".connect("127.0.0.1", %d)
  local s = ("x"):rep(1 << 20) for i = 1, 300 do if not c:send(s) then break end end']])

for _, pattern in ipairs {'*l', '*a', 280000000} do
  local server = assert(socket.bind('127.0.0.1', 0))
  local _, port = server:getsockname()
  local process = io.popen('(' .. sender:format(port) .. ') >/dev/null 2>&1', 'w')
  local peer = server:accept()
  local ok, message = pcall(peer.receive, peer, pattern)
  assert(not ok and message == 'not enough memory', message)
  -- What was received is still there, in pieces.
  assert(#assert(peer:receive(1000)) == 1000)
  peer:close()
  server:close()
  process:close()
  collectgarbage()
end
print 'alive'
