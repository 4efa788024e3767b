-- Odd values.
local values = {}

local yielding = coroutine.isyieldable

-- Functions that do something to their caller. `tamper` is tamper.lua's.
local function callbacks(tamper)
  return {
    function() end,
    function(...) return ... end,
    function() error('raised', 0) end,
    function() error({}) end,
    function() error(nil) end,
    function() if yielding() then coroutine.yield(1, 2, 3) end return 1 end,
    function() collectgarbage() return 2 end,
    function() tamper.callers() return 3 end,
    function() tamper.callers() collectgarbage() return {} end,
    function(first) tamper.upvalues(first) return first end,
    function(first) tamper.finalise(first) return first end,
    function() return nil, 'timeout' end,
    function() return nil, 'wantread', 1e300 end,
    function() return 1e300, -1 end,
    function() local function deep() return 1 + deep() end return deep() end,
  }
end

local function cycle()
  local a, b = {}, {}
  a.b, b.a, a[1], b[a] = b, a, a, b
  return a
end

local function dead()
  local co = coroutine.create(function() end)
  coroutine.resume(co)
  return co
end

local function failed()
  local co = coroutine.create(function() error 'x' end)
  coroutine.resume(co)
  return co
end

local function suspended()
  local co = coroutine.create(function(...) local kept = {...} coroutine.yield(kept) return kept end)
  coroutine.resume(co, 1, 2)
  return co
end

local texts = {
  '', 'x', '*l', '*a', '*n', '127.0.0.1', 'localhost', '::1', '*', '0', '1e400', 'nan', 'http://127.0.0.1:1/',
  'both', 'receive', 'send', 'tcp-nodelay', 'reuseaddr', 'linger', 'keepalive', 'ip-multicast-ttl', 'read', 'echo',
  'TCP', 'UDP', '127.0.0.1:0', 'unix:@odd', 'a\0b', '\0', '\255\254', '%s%n', '{1,2', '{"echo",1}', '[[', '\r\n',
  '\27Lua', 'tango.ref', '..', 'a.b.c', 'base64', 'quoted-printable', 'text', 'binary', 'get', 'close', 'socket', '__gc',
}
local numbers = {
  0, 1, -1, 2, 3, 7, 8, 64, 255, 256, 1000, 65535, 65536, -65536, 0.5, -0.0, 1e9, 1e15, 1e300, -1e300, 1 / 0, -1 / 0,
  0 / 0, math.maxinteger, math.mininteger, 2 ^ 31, 2 ^ 31 - 1, -2 ^ 31, 2 ^ 32, 2 ^ 53, 2 ^ 63, math.maxinteger - 1,
}
local events = {
  '__index', '__newindex', '__call', '__tostring', '__len', '__eq', '__concat', '__unm', '__close', '__gc', '__pairs',
  '__name', '__mode', '__metatable',
}

-- The values' kinds, each a function of the draws.
function values.new(world)
  local functions = callbacks(world.tamper)
  local kinds = {
    function(d) return d:of(numbers) end,
    function(d) return d:of(numbers) end,
    function(d) return d:of(texts) end,
    function(d) return d:of(texts) end,
    function(d) return ('0123456789abcdef'):rep(d:of {1, 100, 4096, 60000}) end,
    function(d) return d:chance(50) end,
    function() return nil end,
    function() return {} end,
    function() return {1, 2, nil, 4, x = 1, [0.5] = 2, [true] = 3} end,
    function() return cycle() end,
    function(d) return d:of(functions) end,
    function(d) return d:of {print, next, pcall, coroutine.yield, coroutine.running, setmetatable, rawlen, type} end,
    function() return dead() end,
    function() return failed() end,
    function() return suspended() end,
    function() return coroutine.create(function() end) end,
    function() return (coroutine.running()) end,
    function() return io.stdin end,
    function() return world.light end,
    -- Options, with everything that is looked for in them.
    function(d)
      return {
        port = 0, url = 'ipc://odd', address = '127.0.0.1', timeout = 0.01, host = '127.0.0.1', name = world.value(d),
        socket = world.value(d), callback = world.value(d), delay = d:of {0, 0.001, 5, -1}, functab = world.value(d),
        params = world.value(d), serialize = world.value(d), pcall = world.value(d), authorize = world.value(d),
        cwd = world.value(d), _queue = world.value(d), ssl_params = world.value(d), recurring = d:chance(50),
        getfd = world.value(d), dirty = world.value(d), receive = world.value(d), send = world.value(d),
        settimeout = world.value(d), close = world.value(d), accept = world.value(d), [1] = world.value(d),
      }
    end,
    -- A metatable that does something.
    function(d)
      local meta = {}
      for _ = 1, d:upto(4) do meta[d:of(events)] = d:of(functions) end
      if type(meta.__mode) ~= 'string' then meta.__mode = nil end
      return setmetatable({socket = world.value(d)}, meta)
    end,
    function(d) return world.object(d) end,
    function(d) return world.object(d) end,
    function(d) return world.object(d) end,
    function(d) return world.object(d) end,
    function(d) return world.functionOf(d) end,
  }
  return kinds
end

return values
