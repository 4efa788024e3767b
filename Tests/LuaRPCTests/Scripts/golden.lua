-- Messages of the original, byte for byte: a client that sends what it sends gets what it answers.

local copas = require 'copas'
local processes = require 'processes'
local raw = require 'raw'
local rpc = require 'rpc'
local socket = require 'socket'
local T = require 'testing'
local test = T.test

local setup = [[
  package.loaded['g-object'] = {add = function(_, a, b) return a + b end}
  g = {nothing = function() end, echo = function(...) return ... end, number = 42,
    t = {1, 2, {3}}, fail = function(value) error(value, 0) end,
    holes = function() return 'a', nil, 'three', nil end, ud = function() return io.stdout end}
]]

-- Calls, then their answers; nil where the original's own answer is not to be copied.
local calls = {
  {'00010000000c040009672e6e6f7468696e67', '01010000000100'},
  {'000100000011040006672e6563686f04000568656c6c6f', '0101000000090004000568656c6c6f'},
  {'000300000013040006672e6563686f07000000010004000178', '01030000000b0007000000010004000178'},
  -- The trailing nil, which the original loses.
  {'00040000000f040006672e6563686f070000000100', '01040000000700070000000100'},
  {'000500000012040006672e6563686f040006672e6563686f', '01050000000a00040006672e6563686f'},
  {'000600000025040006672e6563686f05000207000000010400017807000000020500010700000001140002',
    '01060000001d0005000207000000010400017807000000020500010700000001140002'},
  {'00070000000f040006672e6563686f050000050000', '01070000000700050000050000'},
  {'000800000010040007672e686f6c657304000178', '0108000000100004000161000400057468726565' .. '00'},
  {'00090000001704000a737472696e672e72657004000261620700000003', '01090000000a00040006616261626162'},
  {'000a000000170400095f5f7270636576616c040008672e6e756d626572', '010a0000000600070000002a'},
  {'000b000000160400095f5f7270636576616c040007672e742e332e31', '010b00000006000700000003'},
  {'000d000000150400095f5f7270636576616c040006672e6e6f6e65', '010d000000020000'},
  {'000e000000180400095f5f7270636576616c040009696f2e7374646f7574',
    '010e0000001b0404001743616e6e6f742073657269616c697a6520726573756c74'},
  {'000f0000002204000e5f5f7270636275696c646578656304000e72657475726e202e2e2e202b2031',
    '010f00000006000700000001'},
  {'00100000001904000c5f5f72706372756e657865630700000001070000002a', '01100000000600070000002b'},
  {'00110000003404000e5f5f7270636275696c64657865630500020700000001040006' .. '72657475726e'
    .. '0700000002040008' .. '202e2e2e202b2031', '011100000006000700000002'},
  {'00120000001904000c5f5f72706372756e657865630700000002070000002a', '01120000000600070000002b'},
  {'00130000001f04000e5f5f7270636275696c64657865630600' .. '0b' .. '72657475726e20312b2031' .. '',
    '011300000006000700000003'},
  {'00140000001404000c5f5f72706372756e657865630700000003', '011400000006000700000002'},
  {'001500000010040006672e6661696c040004626f6f6d', '01150000000801040004626f6f6d'},
  {'00160000001e040006672e6661696c050001070000000104000a736f6d65206572726f72',
    '01160000001601050001070000000104000a736f6d65206572726f72'},
  {'001700000009040006672e6661696c', '0117000000020100'},
  {'001800000009040006672e6e6f6e65', '01180000000102'},
  {'00190000000b040008672e6e756d626572', '01190000000103'},
  {'001a00000007040004672e7564', '011a0000001b0404001743616e6e6f742073657269616c697a6520726573756c74'},
  {'001b0000001504000772657175697265040008672d6f626a656374', '011b00000006002100000001'},
  {'001c0000002304000b5f5f727063696e766f6b653f0000000104000361646407000000020700000003',
    '011c00000006000700000005'},
  {'001d0000000e040006672e6563686f3f00000001', '011d00000006002100000001'},
  {'00ff0000000c040009672e6e6f7468696e67', '01ff0000000100'},
  {'00000000000c040009672e6e6f7468696e67', '01000000000100'},
}

-- The sizes follow from the rest, so that the table above need not be counted by hand.
local function sized(hex)
  local bytes = raw.unhex(hex)
  return bytes:sub(1, 2) .. string.pack('>I4', #bytes - 6) .. bytes:sub(7)
end

local server = processes.server('', setup)

test('what the original sends, and how it is answered', function()
  local peer = raw.connect(server.port)
  for _, call in ipairs(calls) do
    peer:send(sized(call[1]))
    local kind, sequence, payload = raw.receive(peer)
    T.equal(raw.hex(raw.message(kind, sequence, payload)), raw.hex(sized(call[2])), call[1])
  end
  peer:close()
end)

test('the same in pieces, as the original sends it, and byte by byte', function()
  for _, size in ipairs{6, 1} do
    local peer = raw.connect(server.port)
    for i = 1, 8 do
      local bytes = sized(calls[i][1])
      peer:send(bytes:sub(1, size))
      if size == 6 then peer:send(bytes:sub(7)) else
        for j = 2, #bytes do peer:send(bytes:sub(j, j)) end
      end
      local kind, sequence, payload = raw.receive(peer)
      T.equal(raw.hex(raw.message(kind, sequence, payload)), raw.hex(sized(calls[i][2])))
    end
    peer:close()
  end
end)

test('all in one piece', function()
  local peer = raw.connect(server.port)
  local parts = {}
  for _, call in ipairs(calls) do parts[#parts + 1] = sized(call[1]) end
  peer:send(table.concat(parts))
  for _, call in ipairs(calls) do
    local kind, sequence, payload = raw.receive(peer)
    T.equal(raw.hex(raw.message(kind, sequence, payload)), raw.hex(sized(call[2])))
  end
  peer:close()
end)

-- What our client sends for a call, and what it makes of an answer.
local function exchange(answer, f)
  local l = assert(socket.bind('127.0.0.1', 0))
  local _, port = l:getsockname()
  local sent, results
  copas(function()
    copas.addserver(l, function(skt)
      local header = copas.receive(skt, 6)
      sent = header .. copas.receive(skt, (string.unpack('>I4', header, 3)))
      copas.send(skt, answer)
      copas.receive(skt, 1)
      copas.removeserver(l)
    end)
    local c = assert(rpc.newclient('127.0.0.1', port))
    results = T.list(pcall(f, c))
    c:close()
  end)
  return raw.hex(sent), results
end

test('what our calls look like, and answers of the original', function()
  local cases = {
    {'00000000000c040009672e6e6f7468696e67', '01000000000100', '(true)',
      function(c) return c:call 'g.nothing' end},
    {'000000000011040006672e6563686f04000568656c6c6f', '0100000000090004000568656c6c6f', '(true, "hello")',
      function(c) return c:call('g.echo', 'hello') end},
    {'000000000013040006672e6563686f07000000010004000178',
      '010000000015000700000001040001610101033fe0000000000000', '(true, 1, "a", true, 0.5 as float)',
      function(c) return c:call('g.echo', 1, nil, 'x') end},
    {'000000000025040006672e6563686f05000207000000010400017807000000020500010700000001140002',
      '01000000000700050000050000', '(true, {}, {})',
      function(c) return c:call('g.echo', {'x', {'x'}}) end},
    {'0000000000170400095f5f7270636576616c040008672e6e756d626572', '010000000006000700000003',
      '(true, 3)', function(c) return c:eval 'g.number' end},
    {'00000000002204000e5f5f7270636275696c646578656304000e72657475726e202e2e2e202b2031',
      '0100000000160105000107000000010400' .. '0a736f6d65206572726f72', '(false, {[1] = "some error"})',
      function(c) return c:newexec 'return ... + 1' end},
    {'000000000009040006672e6e6f6e65', '01000000000102', '(true, nil, "function not existing")',
      function(c) return c:call 'g.none' end},
    {'000000000009040006672e6e6f6e65', '01000000000103', '(true, nil, "not a function")',
      function(c) return c:call 'g.none' end},
    {'000000000009040006672e6e6f6e65',
      '01000000001b0404001743616e6e6f742073657269616c697a6520726573756c74',
      '(true, nil, "bad status 4", "Cannot serialize result")', function(c) return c:call 'g.none' end},
    {'000000000009040006672e6e6f6e65', '0100000000012a', '(true, nil, "bad status 42")',
      function(c) return c:call 'g.none' end},
    {'000000000009040006672e6e6f6e65', '0100000000020100', '(false, nil)',
      function(c) return c:call 'g.none' end},
    {'00000000002c040006672e6563686f' .. '034341c37937e08000' .. '0341e0000000000000' .. '034008000000000000'
      .. '07ffffffff', '0100000000010' .. '0', '(true)',
      function(c) return c:call('g.echo', 10000000000000000, 1 << 31, 3.0, -1) end},
  }
  for _, case in ipairs(cases) do
    local sent, results = exchange(sized(case[2]), case[4])
    T.equal(results, case[3])
    T.equal(sent, raw.hex(sized(case[1])))
  end
end)

server:stop()
T.finish()
