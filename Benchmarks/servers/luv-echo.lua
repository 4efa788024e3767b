-- An echo server on libuv: callbacks, no coroutines. For stock Lua with lua-luv.

local uv = require 'luv'

local function serve(listener)
  local peer = uv.new_tcp()
  listener:accept(peer)
  peer:nodelay(true)
  peer:read_start(function(failure, data)
    if data and not failure then
      peer:write(data)
    else
      peer:close()
    end
  end)
end

local listener = uv.new_tcp()
assert(listener:bind('127.0.0.1', 0))
assert(listener:listen(1024, function(failure)
  assert(not failure, failure)
  serve(listener)
end))
print('listening ' .. listener:getsockname().port)
io.stdout:flush()
uv.run()
