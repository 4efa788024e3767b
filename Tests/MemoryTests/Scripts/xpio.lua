-- XPIO: descriptors, a task queue, a child.
local copas, xpio = require 'copas', require 'xpio'
copas.setErrorHandler(function(message) print(message) end, true)

local function talk()
  local a, b = xpio.socketpair()
  assert(a:write(('w'):rep(30000)))
  local got = 0
  while got < 30000 do got = got + #assert(b:read(20000)) end
  a:close()
  b:close()
  local listener = assert(xpio.socket 'TCP')
  assert(listener:bind '127.0.0.1:0')
  assert(listener:listen())
  local client = assert(xpio.socket 'TCP')
  client:try_connect(listener:getsockname())
  local server = assert(listener:accept())
  assert(server:write 'hello')
  assert(client:read(10))
  for _, s in ipairs {listener, client, server} do s:close() end
end
copas.addthread(function()
  talk()
  local r, w = xpio.pipe()
  local child = xpio.spawn({'echo', ('c'):rep(1000)}, {}, {[0] = 0, [1] = w, [2] = 2})
  w:close()
  assert(r:read(2000))
  child:wait()
  os.exit(0)
end)
copas.addthread(function() copas.pause(1.5) os.exit(1) end)
copas.loop()
