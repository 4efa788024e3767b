-- lua5.1: a client as the original is one, and our server.

local processes = require 'processes'
local socket = require 'socket'
local wire = require 'original_wire'
local T = require 'testing'
local test = T.test

local server = processes.server('', [[
  function find(...) return select(2, ('xabc'):find(...)) end
  function numbers() return 1, 1.0, 2.5, 2^53, math.maxinteger, 1e15, 1e100 end
  function special() return math.huge, -math.huge, 0/0 end
  function holes() return nil, 'a', nil, nil, 'b', nil end
  function bytes()
    local t = {}
    for i = 0, 255 do t[#t + 1] = string.char(i) end
    return table.concat(t)
  end
  function reserved() return {['end'] = 1, ['goto'] = 2, name = 3, ['two words'] = 4} end
  function failWith(value) error(value) end
]])

local function connect()
  local peer = assert(socket.connect('localhost', server.port))
  peer:settimeout(60)
  return peer
end

local peer = connect()
local function call(...) return wire.call(peer, ...) end
local function succeeds(expected, ...) T.equal(call(...), expected) end

test('the behaviours of its own test', function()
  succeeds({true, 3}, 'add', 1, 2)
  succeeds({true, {number = 444, name = 'horst', bool = true}}, 'echo',
    {number = 444, name = 'horst', bool = true})
  succeeds({true, 1.234, true, {el = 11}}, 'echo', 1.234, true, {el = 11})
  local answer = call 'strerror'
  T.equal(answer[1], false)
  T.contains(answer[2], 'testmessage')
  succeeds({false, {code = 117}}, 'customerror', {code = 117})
  succeeds({true, true}, 'nested.method.name')
  succeeds({true}, 'x', 4)
  succeeds({true, 4}, 'x')
  succeeds({true, 8}, 'double_x')
  succeeds({true}, 'abc', {sub = 'horst', tab = {}})
  succeeds({true}, 'abc.tab.num', 1234)
  succeeds({true, {sub = 'horst', tab = {num = 1234}}}, 'abc')
  succeeds({false, 'tango server error "horst.dieter": no such variable'}, 'horst.dieter')
end)

test('references', function()
  local id = call('tango.ref_create', 'io.popen', 'echo hello')[2]
  T.equal(type(id), 'string')
  succeeds({true, 'hello\n'}, 'tango.ref_call', id, 'read', '*a')
  T.equal(call('tango.ref_call', id, 'close')[1], true)
  succeeds({true}, 'tango.ref_release', id)
  T.equal(call('tango.ref_call', id, 'read')[1], false)
  id = call('tango.ref_create', 'person', 'horst')[2]
  succeeds({true, 'horst'}, 'tango.ref_call', id, 'name')
end)

test('strings with quotes, line ends and bytes of all sorts', function()
  for _, text in ipairs{'', '"', "'", '\'"', '"\'"', 'a\nb', 'say "hi"', 'tab\t', '\1\2\127\128\255'} do
    succeeds({true, text}, 'echo', text)
  end
  local bytes = call 'bytes'[2]
  T.equal(#bytes, 256)
  for i = 0, 255 do T.equal(bytes:byte(i + 1), i) end
end)

test('a backslash means what its reader makes of it', function()
  -- It does not escape them, so that `\\` is needed to send one.
  succeeds({true, '\\'}, 'echo', '\\\\')
  succeeds({true, 'a\tb'}, 'echo', 'a\\tb')
end)

test('numbers', function()
  succeeds({true, 1, 1, 2.5, 2 ^ 53, 2 ^ 63, 1e15, 1e100}, 'numbers')
  for _, number in ipairs{0, -1, 0.1, 1e15, 1e16, 123456789012, 1e-7, -2.5e300, 1 / 3} do
    local text = tonumber(tostring(number))
    succeeds({true, text}, 'echo', number)
  end
end)

test('infinities and NaN, which its tostring writes as inf and nan', function()
  succeeds({true, 1 / 0, -1 / 0}, 'echo', 1 / 0, -1 / 0)
  local answer = call('echo', 0 / 0)
  assert(answer[2] ~= answer[2], 'NaN became something else')
  answer = call 'special'
  T.equal({answer[2], answer[3]}, {1 / 0, -1 / 0})
  assert(answer[4] ~= answer[4], 'NaN became something else')
end)

test('nil in front and in the middle', function()
  succeeds({true, nil, 'a', nil, nil, 'b'}, 'holes')
  T.equal(call('echo', nil, 2, nil, 4), {true, nil, 2, nil, 4})
  succeeds({true, 3}, 'count', nil, nil, 3)
end)

test('keys of every kind', function()
  succeeds({true, {['end'] = 1, ['goto'] = 2, name = 3, ['two words'] = 4}}, 'reserved')
  local keys = {10, 20, [4] = 40, [1.5] = 1, [true] = 2, ['a b'] = 3, _x = 4, [-1] = 5}
  succeeds({true, keys}, 'echo', keys)
end)

test('functions and userdata are nil for it', function()
  succeeds({true}, 'echo', print)
  succeeds({true, 1, nil, 3}, 'echo', 1, print, 3)
end)

test('a large message', function()
  local text = ('0123456789abcde\n'):rep(60000)
  succeeds({true, text}, 'echo', text)
end)

-- How long a call takes: sent in two writes with Nagle's algorithm on, the second waits until the
-- first is acknowledged, and a server that leaves that to the system's timer answers after some 40
-- ms.
test('1,000 calls in two writes take no longer than they must', function()
  local separate, together = connect(), connect()
  separate:setoption('tcp-nodelay', false)
  together:setoption('tcp-nodelay', true)

  local function echo(number)
    wire.send(separate, {'echo', number})
    assert(wire.receive(separate)[2] == number)
  end
  local function echoTogether(number)
    local text = wire.write{'echo', number}
    together:send(#text .. '\n' .. text)
    assert(wire.receive(together)[2] == number)
  end
  -- In turns, so that whatever else the machine does slows down both; and it does not slow down
  -- half of them.
  local spent, reference = {}, {}
  for i = 1, 1000 do
    local start = socket.gettime()
    echo(i)
    local middle = socket.gettime()
    echoTogether(i)
    spent[i], reference[i] = middle - start, socket.gettime() - middle
  end
  table.sort(spent)
  table.sort(reference)
  local ratio = spent[500] / reference[500]
  assert(ratio <= 5, ('%.3f ms a call, %.1f times as long as in one write'):format(spent[500] * 1000, ratio))
end)

server:stop()
T.finish()
