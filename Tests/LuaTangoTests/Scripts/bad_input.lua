-- What a peer can do wrong: it is told or disconnected, with one line in the log, and other clients
-- do not notice.

local processes = require 'processes'
local socket = require 'socket'
local tango = require 'tango'
local T = require 'testing'

local server = processes.server('max_frame_bytes = 4000000, max_depth = 50', [[
  evaluated = false
  function evaluate() evaluated = true return 'evaluated' end
]])
local witness = tango.client.socket.connect{port = server.port, timeout = 60}
local logged = 0

local function raw()
  local peer = assert(socket.connect('127.0.0.1', server.port))
  peer:settimeout(60)
  return peer
end

local function frame(body) return #body .. '\n' .. body end

-- One answer of the server: the text, or nil and what happened.
local function answer(peer)
  local length, reason = peer:receive '*l'
  if not length then return nil, reason end
  return peer:receive(tonumber(length))
end

-- The connection is over: the rest of what the server says, and then its end.
local function expectEnd(peer)
  local text, reason, partial = peer:receive '*a'
  if not text then
    assert(reason == 'closed' or reason:find 'reset', 'not disconnected: ' .. tostring(reason))
  end
  peer:close()
  return text or partial
end

-- As many new lines in the log as expected, the last of which contains the fragment.
local function expectLog(count, fragment)
  local lines = server:errorLines(logged + count)
  local new = #lines - logged
  logged = #lines
  T.equal(new, count, 'lines in the log')
  if fragment then
    T.contains(lines[#lines], fragment)
    T.contains(lines[#lines], '127.0.0.1:')
  end
end

-- Runs f; afterwards another client, connected all the time, and a new one must be served.
local function test(name, f)
  T.test(name, function()
    f()
    T.equal(witness.add(1, 2), 3, 'the witness')
    T.equal(witness.evaluated(), false, 'evaluated')
    T.equal(tango.client.socket.connect{port = server.port}.add(2, 3), 5, 'a new client')
  end)
end

-- What other peers have sent is read by then: the server has had several turns since.
local function letServerRead()
  for i = 1, 5 do T.equal(witness.echo(i), i) end
end

local lengths = {
  ['letters'] = 'abc\n', ['nothing'] = '\n', ['a space in front'] = ' 5\n{nil}',
  ['a space behind'] = '5 \n{nil}', ['negative'] = '-5\n{nil}', ['a sign'] = '+5\n{nil}',
  ['hexadecimal'] = '0x5\n{nil}', ['a fraction'] = '5.0\n{nil}', ['an exponent'] = '5e0\n{nil}',
  ['a NUL'] = '5\0\n{nil}', ['two carriage returns'] = '5\r\r\n{nil}', ['binary'] = '\255\254\0\1\n',
  ['no newline'] = '5{nil}', ['another protocol'] = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
  ['zeros without an end'] = ('0'):rep(10000), ['a TLS hello'] = '\22\3\1\2\0\1\0\1\252\3\3',
}
for name, text in pairs(lengths) do
  test('a length with ' .. name, function()
    local peer = raw()
    peer:send(text)
    local rest = expectEnd(peer)
    if rest ~= '' then T.contains(rest, 'the length of the frame is not a line') end
    expectLog(1, 'disconnected: the length of the frame is not a line of 1 to 20 decimal digits')
  end)
end

for name, text in pairs{
  ['above the limit'] = '4000001\n', ['of 2^64'] = '18446744073709551616\n',
  ['of 20 nines'] = ('9'):rep(20) .. '\n', ['of digits without an end'] = ('9'):rep(100000),
} do
  test('a length ' .. name, function()
    local peer = raw()
    peer:send(text)
    local rest = expectEnd(peer)
    if rest ~= '' then T.contains(rest, 'longer than the limit of 4000000 bytes') end
    expectLog(1, 'disconnected: the frame is longer than the limit of 4000000 bytes')
  end)
end

test('calls before the bad length are answered', function()
  local peer = raw()
  peer:send(frame '{"add",1,2}' .. frame '{"echo","x"}' .. 'x\n')
  T.equal(answer(peer), '{true,3}')
  T.equal(answer(peer), '{true,"x"}')
  T.contains(answer(peer), '{false,"tango server error: the length')
  expectEnd(peer)
  expectLog(1, 'disconnected')
end)

for name, text in pairs{
  ['a length'] = '10', ['a length and its line'] = '10\n', ['a body'] = '10\n{"add"',
  ['a second message'] = frame '{"add",1,2}' .. '1',
} do
  for how, leave in pairs{
    closes = function(peer) peer:close() end,
    ['stops sending'] = function(peer)
      peer:shutdown 'send'
      expectEnd(peer)
    end,
    ['resets the connection'] = function(peer)
      peer:setoption('linger', {on = true, timeout = 0})
      peer:close()
    end,
  } do
    test(('a peer %s in the middle of %s'):format(how, name), function()
      local peer = raw()
      peer:send(text)
      if text:find 'add",1' then answer(peer) end
      -- Otherwise a reset may overtake the text.
      letServerRead()
      leave(peer)
      expectLog(1, 'in the middle of a message')
    end)
  end
end

test('a peer goes without having said anything', function()
  raw():close()
  local peer = raw()
  peer:shutdown 'send'
  T.equal(expectEnd(peer), '')
  peer = raw()
  peer:setoption('linger', {on = true, timeout = 0})
  peer:close()
  letServerRead()
  expectLog(0)
end)

test('a message byte by byte', function()
  local peer, text = raw(), frame '{"add",40,2}'
  peer:setoption('tcp-nodelay', true)
  for i = 1, #text do
    peer:send(text:sub(i, i))
    socket.sleep(0.001)
  end
  T.equal(answer(peer), '{true,42}')
  peer:close()
end)

-- The body is answered with an error, and the connection goes on.
local function expectRefusal(body)
  local peer = raw()
  peer:send(frame(body))
  T.contains(answer(peer), '{false,"tango server error')
  peer:send(frame '{"add",1,2}')
  T.equal(answer(peer), '{true,3}')
  peer:close()
  expectLog(0)
end

-- Bodies that are no message: each is answered with an error, and the connection goes on.
local bodies = {
  ['nothing'] = '', ['spaces'] = '   ', ['a number'] = '5', ['a text'] = '"add"', ['a name'] = 'add',
  ['an open brace'] = '{', ['a closed brace'] = '}', ['one brace too few'] = '{"add",{1,2}',
  ['one brace too many'] = '{"add",1,2}}', ['two tables'] = '{"add",1,2}{"add",1,2}',
  ['an unfinished text'] = '{"add', ['a text over two lines'] = '{"add\n"}',
  ['a comma too many'] = '{"add",,1}', ['no comma'] = '{"add" 1}', ['a colon'] = '{"add":1}',
  ['nil as a key'] = '{"add",[nil]=1}', ['NaN as a key'] = '{"add",[0/0]=1}',
  ['an unfinished key'] = '{"add",[1', ['a key without a value'] = '{"add",[1]=}',
  ['tables in tables without an end'] = ('{'):rep(100000),
  ['tables too deep'] = '{"echo",' .. ('{'):rep(60) .. ('}'):rep(60) .. '}',
  ['keys too deep'] = '{"echo",' .. ('{['):rep(60) .. '1' .. (']=1}'):rep(60) .. '}',
  ['binary'] = '\0\1\2\255', ['a bytecode header'] = '\27Lua\x54\0',
  ['an escape that is none'] = '{"add","\\q"}' .. ' x', ['JSON'] = '{"method": "add"}',
  ['too many elements'] = '{"count"' .. (',1'):rep(9000) .. '}',
  ['an element too far'] = '{"count",[1000000]=1}',
}
for name, body in pairs(bodies) do
  test('a body of ' .. name, function() expectRefusal(body) end)
end

-- Code in the place of values: refused, or a text; never carried out.
for _, code in ipairs{
  'evaluate()', '(evaluate())', 'evaluate', '_G', 'os.execute("touch evaluated")',
  '{"add",evaluate(),1}', '{"add",[evaluate()]=1}', '{evaluate()}', '{(evaluate)()}',
  '{"add",evaluate"x"}', '{"add",evaluate{}}', '{"add",(function() evaluate() end)()}',
  '{"add",function() end}', '{"add",...}', '{"add",1+1}', '{"add",#"x"}', '{"add",-{}}',
  '{"add","x".."y"}', '{"add",not nil}', '{"add",a.b}', '{"add",string.rep("x",10)}',
  '{"add",1}evaluate()', 'nil evaluate()', 'setmetatable({},{__index=evaluate})', '{} or evaluate()',
  '{"echo",load("evaluate()")()}', '{"add",1};evaluate()', '{"echo",("x"):rep(10)}',
} do
  test('code: ' .. code, function()
    local peer = raw()
    peer:send(frame(code))
    T.contains(answer(peer), '{false,"tango server error: cannot read the request: expected')
    peer:close()
    expectLog(0)
  end)
end

-- Messages that are well formed, and name no function.
for name, body in pairs{
  ['no path'] = '{}', ['nil'] = '{nil,1}', ['a number'] = '{1,2}', ['a table'] = '{{"add"},1,2}',
  ['true'] = '{true}', ['only named'] = '{add=1}', ['an empty path'] = '{""}',
  ['a path of dots'] = '{"...."}', ['a long path'] = '{"' .. ('x.'):rep(100000) .. '"}',
  ['a path with every byte'] = '{"\\0\\1\\255\\n"}',
} do
  test('a path that is ' .. name, function() expectRefusal(body) end)
end

test('the log stays on one line, whatever a peer sends', function()
  local peer = raw()
  peer:send '\n\n[fake] warning\27[31m\r\n'
  expectEnd(peer)
  expectLog(1, 'disconnected')
  assert(not server:errorText():find('\27', 1, true))
end)

-- Work with the memory of the server: it must come back.
local function settledMemory()
  witness.kilobytes()
  return server:memory(), witness.kilobytes()
end
local function expectMemory(before, kilobytes)
  local memory, lua
  local ok = pcall(processes.waitFor, '', function()
    memory, lua = settledMemory()
    return memory < 1.5 * before + (24 << 20) and lua < kilobytes + 100
  end)
  if not ok then
    error(('%d bytes became %d, and those of Lua %g KB became %g'):format(
      before, memory, kilobytes, lua))
  end
end

for name, body in pairs{
  ['a million tiny tables'] = '{"count",{' .. ('{},'):rep(1000000) .. '}}',
  ['a flood of keys'] = (function()
    local parts = {}
    for i = 1, 150000 do parts[i] = ('k%d=1'):format(i) end
    return '{"count",{' .. table.concat(parts, ',') .. '}}'
  end)(),
  ['the same key again and again'] = '{"count",{' .. ('a=1,'):rep(300000) .. '}}',
  ['a text as long as allowed'] = '{"count","' .. ('x'):rep(3999980) .. '"}',
  ['numbers with many digits'] = '{"count",' .. ('9'):rep(1000000) .. '}',
} do
  test(name, function()
    local function ask()
      local peer = raw()
      peer:send(frame(body))
      local text = answer(peer)
      assert(text == '{true,1}' or text:find('{false,"tango server error', 1, true), text)
      peer:close()
    end
    -- The system's allocator keeps some of what it has got once, for the next one who asks; how
    -- much depends on where the pieces lie. But at some time it has enough: a leak goes on and on.
    local _, lua = settledMemory()
    local rounds, sizes = 0, {settledMemory()}
    repeat
      rounds = rounds + 1
      for _ = 1, 3 do ask() end
      sizes[#sizes + 1] = settledMemory()
      local grown = sizes[#sizes] - sizes[#sizes - 1]
    until grown < 4 << 20 and rounds > 1 or rounds == 12
    assert(rounds < 12, 'the server grows: ' .. table.concat(sizes, ', '))
    local _, kilobytes = settledMemory()
    assert(kilobytes < lua + 100, ('Lua had %g KB, and now %g'):format(lua, kilobytes))
    expectLog(0)
  end)
end

test('a client that never reads its answers', function()
  local memory, lua = settledMemory()
  local descriptors = server:descriptors()
  local request = frame('{"echo","' .. ('x'):rep(100000) .. '"}')
  local greedy = {}
  for i = 1, 5 do
    greedy[i] = raw()
    greedy[i]:settimeout(0)
  end
  -- 200 MB, if only the server took them.
  local taken, idle, rests = 0, 0, {}
  while taken < 200 << 20 and idle < 20 do
    local before = taken
    for i, peer in ipairs(greedy) do
      local rest = rests[i] or request
      local sent, _, partial = peer:send(rest)
      sent = sent or partial or 0
      taken = taken + sent
      rests[i] = rest:sub(sent + 1)
      if rests[i] == '' then rests[i] = nil end
    end
    idle = taken == before and idle + 1 or 0
    if idle > 0 then socket.sleep(0.01) end
  end
  T.equal(witness.add(1, 2), 3, 'another client meanwhile')
  assert(taken < 150 << 20, 'the server took ' .. taken .. ' bytes')
  local grown = server:memory() - memory
  assert(grown < 30 << 20, 'the server grew by ' .. grown .. ' bytes')
  for _, peer in ipairs(greedy) do peer:close() end
  expectMemory(memory, lua)
  processes.waitFor('the descriptors', function() return server:descriptors() <= descriptors end)
end)

T.test('the server stays up', function()
  assert(server:isRunning())
  T.equal(witness.echo('still', 'here'), 'still')
end)

server:stop()
T.finish()
