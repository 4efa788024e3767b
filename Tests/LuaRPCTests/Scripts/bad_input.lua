-- Peers that break the rules: a clear error, and no other connection is touched.

local copas = require 'copas'
local processes = require 'processes'
local raw = require 'raw'
local rpc = require 'rpc'
local socket = require 'socket'
local T = require 'testing'
local test = T.test

local server = processes.server('max_frame_bytes = 200000, stall_timeout = 0.3')
local witness = assert(rpc.newclient('127.0.0.1', server.port))
local lines = 0

-- Sends bytes, and expects the end of the connection and a line in the log.
local function isDisconnected(bytes, reason)
  local peer = raw.connect(server.port)
  peer:send(bytes)
  local kind, why = raw.receive(peer)
  T.equal({kind, why}, {nil, 'closed'})
  lines = lines + 1
  local all = server:errorLines(lines)
  T.equal(#all, lines)
  T.contains(all[lines], 'disconnected: ')
  T.contains(all[lines], reason)
  assert(not all[lines]:find '[^ -~]', all[lines])
  T.equal(witness:call('add', lines, 1), lines + 1)
end

-- Sends a call, and expects an answer with an error; the connection goes on.
local function isRefused(payload, reason)
  local peer = raw.connect(server.port)
  peer:send(raw.message(0, 9, payload))
  local kind, sequence, answer = raw.receive(peer)
  T.equal({kind, sequence, answer:byte()}, {1, 9, 1})
  T.contains(answer, reason)
  peer:send(raw.call(10, 'add', 1, 2))
  T.equal(select(3, raw.receive(peer)), '\0' .. raw.value(3))
  peer:close()
end

test('headers', function()
  for _, kind in ipairs{2, 3, 0x1b, 0x47, 255} do
    isDisconnected(raw.message(kind, 0, 'abc'), 'a message of type ' .. kind)
  end
  isDisconnected('GET / HTTP/1.0\r\n\r\n', 'a message of type 71')
  isDisconnected('\0\0' .. string.pack('>I4', 200001), 'longer than the limit of 200000 bytes')
  isDisconnected('\0\0\255\255\255\255', 'longer than the limit of 200000 bytes')
  isDisconnected('\1\0\0\0\0\0', 'a response without a status')
end)

test('a length that is never filled', function()
  isDisconnected('\0\0\0\0\0\50' .. 'abc', 'no byte in 0.3 s in the middle of a message')
  isDisconnected('\0\0', 'no byte in 0.3 s in the middle of a message')
  -- A slow one is not given up.
  local peer = raw.connect(server.port)
  local call = raw.call(3, 'add', 1, 2)
  for i = 1, #call, 4 do
    peer:send(call:sub(i, i + 3))
    socket.sleep(0.06)
  end
  T.equal(select(3, raw.receive(peer)), '\0' .. raw.value(3))
  peer:close()
end)

test('the end in the middle of a message', function()
  local peer = raw.connect(server.port)
  peer:send(raw.call(1, 'add', 1, 2):sub(1, -2))
  peer:close()
  lines = lines + 1
  T.contains(server:errorLines(lines)[lines], 'in the middle of a message')
end)

local echo = raw.value 'echo'

test('payloads that are no values', function()
  isDisconnected(raw.message(0, 0, ''), 'a malformed call: a call without the name of a function')
  isDisconnected(raw.message(0, 0, '\4'), 'a malformed call: ')
  isDisconnected(raw.message(0, 0, echo .. '\2'), 'a malformed call: expected the type of a value')
  isDisconnected(raw.message(0, 0, echo .. '\4\255\255a'), 'a malformed call: ')
  isDisconnected(raw.message(0, 0, echo .. '\5\255\255'), 'a malformed call: ')
  isDisconnected(raw.message(0, 0, echo .. '\5\0\1\0\0'), 'a key, which nil cannot be')
  isDisconnected(raw.message(0, 0, echo .. '\5\0\1\3\127\248\0\0\0\0\0\0\0'), 'not a number cannot be')
  isDisconnected(raw.message(0, 0, echo .. '!\0\0'), 'a malformed call: ')
end)

test('references to nothing', function()
  for _, number in ipairs{'\0\0', '\0\1', '\255\255'} do
    isDisconnected(raw.message(0, 0, echo .. '\x14' .. number), 'a reference to one of the 0 objects')
  end
  isDisconnected(raw.message(0, 0, echo .. '\5\0\1\1\1\x14\0\2'), 'a reference to one of the 1 objects')
end)

test('tables that claim more than there is', function()
  -- Nested, each with 65,535 pairs: nothing is reserved for what is not there.
  local before = server:memory()
  for _ = 1, 20 do
    isRefused(echo .. ('\5\255\255\1\1'):rep(199), 'at most 1000000 values in a message')
    isDisconnected(raw.message(0, 0, echo .. ('\5\255\255\1\1'):rep(7)), 'a malformed call: ')
  end
  assert(server:memory() < before + (30 << 20), 'it took memory')
end)

test('too deep', function()
  isRefused(echo .. ('\5\0\1\1\1'):rep(20000) .. '\0', 'nested at most 200 deep')
  isRefused(echo .. ('\5\0\1\1\1'):rep(201) .. '\0', 'nested at most 200 deep')
end)

test('too many values', function()
  isRefused(echo .. ('\0'):rep(8000), 'a message has more than 7999 values')
end)

test('objects that do not exist', function()
  isRefused(echo .. '?\0\0\0\1', 'Unknown local object 1')
  isRefused(raw.value '__rpcinvoke' .. '?\255\255\255\255' .. raw.value 'close', 'Unknown local object 4294967295')
  isRefused(raw.value '__rpcinvoke' .. '!\0\0\0\1' .. raw.value 'call', 'not of a userdata')
end)

test('bytecode', function()
  local dump = string.dump(load 'return 1')
  isRefused(echo .. '\6' .. string.pack('>s2', dump), 'accept_bytecode = true')
  -- What the original sends for a function.
  isRefused(echo .. '\6' .. string.pack('>s2', '\27Lua\x51\0\1\4\8\4\8\0'),
    'bytecode of Lua 5.1, which Lua 5.4 cannot load; send its source text instead')
  isRefused(raw.value '__rpcbuildexec' .. raw.value(dump), 'accept_bytecode = true')
  isRefused(echo .. '\6\0\3x x', 'a function that arrived cannot be loaded: ')
end)

test('names that are no names', function()
  local peer = raw.connect(server.port)
  for _, name in ipairs{'\0', '\1\1', '\7\0\0\0\1', '\5\0\0'} do
    peer:send(raw.message(0, 1, name))
    T.equal({raw.receive(peer)}, {1, 1, '\2'})
  end
  peer:close()
end)

test('numbers with something behind them', function()
  local peer = raw.connect(server.port)
  for _, path in ipairs{'data.list.1\0', 'data.list.1\0.x', 'data.-1\0001', 'data.5\0.5', '1\0.2\0'} do
    peer:send(raw.call(1, '__rpceval', path))
    T.equal({raw.receive(peer)}, {1, 1, '\0\0'})
    peer:send(raw.call(2, path, 1))
    T.equal({raw.receive(peer)}, {1, 2, '\2'})
  end
  peer:send(raw.call(3, '__rpceval', 'data.list.1'))
  T.equal({raw.receive(peer)}, {1, 3, '\0' .. raw.value(10)})
  peer:close()
end)

test('answers that nobody asked for', function()
  local peer = raw.connect(server.port)
  for i = 0, 255 do peer:send(raw.message(1, i, '\0' .. raw.value 'x')) end
  peer:send(raw.call(5, 'add', 1, 2))
  T.equal({raw.receive(peer)}, {1, 5, '\0' .. raw.value(3)})
  lines = lines + 1
  T.contains(server:errorLines(lines)[lines], 'an answer to call 0, which nobody made, is dropped')
  peer:close()
end)

test('the same sequence number again and again', function()
  local peer = raw.connect(server.port)
  for i = 1, 20 do peer:send(raw.call(7, 'add', i, 1)) end
  for i = 1, 20 do T.equal({raw.receive(peer)}, {1, 7, '\0' .. raw.value(i + 1)}) end
  peer:close()
  -- More calls at a time than there are numbers.
  isDisconnected((raw.message(0, 0, raw.value 'later' .. raw.value(5))):rep(300), 'more than 256 calls at a time')
end)

test('a peer that does not read its answers', function()
  local other = processes.server('max_unsent_bytes = 1000000', 'text = ("x"):rep(60000) '
    .. 'function big() return text, text, text, text end')
  local peer = raw.connect(other.port)
  peer:settimeout(0.5)
  local call, reason = raw.call(0, 'big', ('x'):rep(1000))
  -- It has to wait with its questions: its own buffers fill, and the server's do not.
  for _ = 1, 300 do
    local _
    _, reason = peer:send(call:rep(100))
    if reason then break end
  end
  local before = other:memory()
  assert(before < 64 << 20, 'it took ' .. before)
  T.equal(reason == 'timeout' or reason == 'closed', true)
  peer:close()
  T.equal(assert(rpc.newclient('127.0.0.1', other.port)):call('add', 1, 2), 3)
  other:stop()
end)

-- A server of ours answers what it wants; what becomes of the call?
local function answered(bytes, stays)
  local l = assert(socket.bind('127.0.0.1', 0))
  local results, after
  copas(function()
    copas.addserver(l, function(skt)
      local header = copas.receive(skt, 6)
      copas.receive(skt, (string.unpack('>I4', header, 3)))
      copas.send(skt, bytes)
      if stays then copas.receive(skt, 1) end
    end)
    local c = assert(rpc.newclient('127.0.0.1', (select(2, l:getsockname()))))
    results = T.list(pcall(c.call, c, 'f'))
    after = c.skt:getfd() > 0
    c:close()
    copas.removeserver(l)
  end)
  return results, after
end

test('answers that make no sense', function()
  -- A peer that is open keeps the dispatcher at work.
  witness:close()
  T.equal(answered('', false), '(true, nil, "closed")')
  T.equal(answered('\1\0\0\0', false), '(true, nil, "closed")')
  T.equal(answered('\1\0\0\0\0\9' .. '\0abc', false), '(true, nil, "closed")')
  for _, payload in ipairs{'\0\2', '\0\4\0\9x', '\0\5\0\1\0\0', '\1\x14\0\1'} do
    local results, isOpen = answered(raw.message(1, 0, payload), true)
    T.contains(results, '(false, "rpc: cannot read the answer: ')
    T.equal(isOpen, false)
  end
  local results, isOpen = answered(raw.message(1, 0, '\0\6\0\2\27L'), true)
  T.contains(results, '(false, "rpc: cannot read the answer: a function arrived as bytecode')
  T.equal(isOpen, true)
  T.equal(answered(raw.message(1, 0, '\9'), true), '(true, nil, "bad status 9")')
  T.equal(answered(raw.message(9, 0, 'x'), true), '(true, nil, "closed")')
  T.equal(answered(raw.message(1, 9, '\0') .. raw.message(1, 0, '\0\1\1'), true), '(true, true)')
end)

test('afterwards the server works, and nobody noticed', function()
  witness = assert(rpc.newclient('127.0.0.1', server.port))
  T.equal(witness:call('add', 1, 2), 3)
  T.equal(#server:errorLines(lines), lines)
  assert(server:isRunning())
end)

server:stop()
T.finish()
