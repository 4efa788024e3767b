-- Code that arrives cannot lift its limits, and leaves no traces of them.

local copas = require 'copas'
local rpc = require 'rpc'
local socket = require 'socket'
local T = require 'testing'
local test = T.test

-- Taken before any peer has limits.
local find, unlimited_sethook = string.find, debug.sethook

local function serve(configuration)
  local s = assert(rpc.newserveronly('localhost', 0, configuration))
  return assert(rpc.newclient('localhost', (select(2, s:getsockname())))), s
end

-- Each does not want to end; what it may begin with gives it the chance.
local endless = {
  'while true do end',
  'debug.sethook() while true do end',
  'pcall(debug.sethook) while true do end',
  'pcall(debug.sethook, coroutine.running()) while true do end',
  'local co = coroutine.create(function() while true do end end) pcall(debug.sethook, co) coroutine.resume(co) while true do end',
  'while true do pcall(function() while true do end end) end',
  'coroutine.wrap(function() while true do end end)()',
  'while true do coroutine.wrap(function() for i = 1, 10 do end end)() end',
  'xpcall(function() while true do end end, function() while true do end end) while true do end',
  'xpcall(error, function() while true do end end)',
  'local x <close> = setmetatable({}, {__close = function() while true do end end}) error "x"',
  [[local co = coroutine.create(function()
      local x <close> = setmetatable({}, {__close = function() while true do end end})
      while true do end
    end)
    coroutine.resume(co) coroutine.close(co) while true do end]],
  'pcall(setmetatable, {}, {__gc = function() while true do end end}) pcall(collectgarbage) while true do end',
  'pcall(function() getmetatable(io.stdout).__gc = function() while true do end end end) while true do end',
  'table.move({}, 1, 1e9, 2)',
  'table.concat(setmetatable({}, {__len = function() return 1 << 40 end, __index = function() return "" end}))',
  'table.insert(setmetatable({}, {__len = function() return 1 << 40 end}), 1, 1)',
  'table.sort(setmetatable({}, {__len = function() return 1 << 30 end, __index = function() return 1 end}))',
  'while true do select("#", table.unpack({}, 1, 1e5)) end',
  'string.find(("a"):rep(60), ("a?"):rep(60) .. ("a"):rep(60) .. "b")',
  'local s = ("a"):rep(1000) s:match(".*.*.*.*b")',
  'local s = ("a"):rep(1000) for _ in s:gmatch(".-.-.-b") do end',
  'local s = ("a"):rep(1000) return s:gsub(".*.*.*.*b", "")',
  'while true do ("x"):rep(1e4):reverse() end',
  'while true do utf8.len(("x"):rep(1e4)) end',
  'load(function() return "--" end)',
  'while true do load(("x = 1 "):rep(100)) end',
  'error(setmetatable({}, {__tostring = function() while true do end end}), 0)',
}

local function run()
  for _, limits in ipairs{{instruction_limit = 100000}, {time_limit = 0.1}} do
    local name = next(limits)
    local message = name == 'time_limit' and 'time limit reached' or 'instruction limit reached'

    test(name .. ': nothing lifts it', function()
      local c, s = serve(limits)
      for _, text in ipairs(endless) do
        local ok, err = pcall(c:newexec(text))
        T.equal(ok, false)
        -- An error value of its own, or what its limits have raised.
        T.equal(tostring(err):find(message, 1, true) ~= nil or text:find('^error') ~= nil
          or text:find('^debug') ~= nil, true)
      end
      s:close()
      c:close()
    end)

    test(name .. ': functions that arrive as values', function()
      local c, s = serve(limits)
      T.fails(message, c.call, c, 'pcall', function() while true do end end)
      T.fails(message, c.call, c, 'table.sort', {2, 1}, function() while true do end end)
      T.fails(message, c.call, c, 'string.gsub', 'x', 'x', function() while true do end end)
      T.equal(T.list(c:call('pcall', function(x) return x + 1 end, 41)), T.list(true, 42))
      s:close()
      c:close()
    end)

    test(name .. ': compiling', function()
      local c, s = serve(limits)
      local names = {}
      for i = 1, 190 do names[i] = 'v' .. i end
      local text = ('local %s return function() '):format(table.concat(names, ',')):rep(80)
        .. ('x = y '):rep(1e5) .. (' end'):rep(80)
      local pieces = {}
      for i = 1, #text, 60000 do pieces[#pieces + 1] = text:sub(i, i + 59999) end
      T.fails(message, c.newexec, c, pieces)
      T.equal(c:newexec 'return ...'(7), 7)
      s:close()
      c:close()
    end)

    test(name .. ': functions that were taken before', function()
      local pattern = ('a?'):rep(60) .. ('a'):rep(60) .. 'b'
      local env = {lib = {find = find}, sethook = unlimited_sethook, rep = ('').rep, pcall = pcall}
      setmetatable(env, {__index = {inherited = find}})
      local config = {env = env}
      for k, v in pairs(limits) do config[k] = v end
      local c, s = serve(config)
      for _, f in ipairs{'lib.find', 'inherited'} do
        T.fails(message, c:newexec('return ' .. f .. '(rep("a", 60), ...)'), pattern)
      end
      T.fails(message, c:newexec 'pcall(sethook) while true do end')
      -- They are what they were.
      T.equal(T.list(c:newexec 'return lib.find("abc", "b()")' ()), T.list(2, 2, 3))
      s:close()
      c:close()
    end)

    test(name .. ': no traces', function()
      local c, s = serve(limits)
      pcall(c:newexec 'left = coroutine.wrap(function() while true do coroutine.yield(7) end end) while true do left() end')
      T.equal(debug.gethook(), nil)
      T.equal(left and pcall(left) ~= nil, true)
      local n = 0
      for _ = 1, 1e6 do n = n + 1 end
      T.equal(n, 1000000)
      local finalized = false
      setmetatable({}, {__gc = function() finalized = true end})
      collectgarbage()
      T.equal(finalized, true)
      local lines = 0
      debug.sethook(function() lines = lines + 1 end, 'l')
      local _ = 1
      debug.sethook()
      T.equal(lines > 0, true)
      T.equal(load(string.dump(load 'return 7'))(), 7)
      T.equal(T.list(('x y'):find '%s()'), T.list(2, 2, 3))
      left = nil
      s:close()
      c:close()
    end)
  end

  test('a limit of N instructions is one of N', function()
    local turns = {}
    for _, limit in ipairs{1000, 1004, 5000, 5000} do
      local env = {}
      local c, s = serve{instruction_limit = limit, env = env}
      T.fails('instruction limit reached', c:newexec 'n = 0 while true do n = n + 1 end')
      turns[#turns + 1] = env.n
      s:close()
      c:close()
    end
    -- A turn takes four.
    T.equal({turns[2] - turns[1], turns[3] - turns[1], turns[4] - turns[1]}, {1, 1000, 1000})
  end)

  test('limits of both kinds', function()
    local c, s = serve{instruction_limit = 1000000, time_limit = 0.1}
    T.fails('instruction limit reached', c:newexec 'while true do end')
    s:close()
    c:close()
    c, s = serve{instruction_limit = 1 << 50, time_limit = 0.05}
    local start = socket.gettime()
    T.fails('time limit reached', c:newexec 'while true do end')
    T.equal(socket.gettime() - start >= 0.045, true)
    s:close()
    c:close()
  end)

  T.finish()
end

copas(run)
