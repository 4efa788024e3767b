-- Thousands of mutated messages against a living server, over one connection after the other.
--
--   fuzz.lua [SEED]    repeats a run

local common = require 'mutations'
local processes = require 'processes'
local raw = require 'raw'
local rpc = require 'rpc'
local T = require 'testing'

local connections, perConnection = 1500, 4
local seed = tonumber(arg[1]) or os.time()
math.randomseed(seed)
local random = math.random

-- Nothing in here can be hurt, whatever the messages say.
local server = processes.server([[
  max_references = 50, max_frame_bytes = 100000, stall_timeout = 0.2, instruction_limit = 10000,
  memory_limit = 1 << 20, allow = {'call', 'eval', 'newexec'}, env = {},
  functab = {add = add, echo = echo, count = count, data = data, nested = nested, fail = fail,
    object = object, kilobytes = kilobytes, later = function() return later(0) end}]], [[
  require 'rpc'.signature('object', '#object')
  function object() return {name = function() return 'name' end} end]])
local witness = assert(rpc.newclient('127.0.0.1', server.port))

local v = raw.value
local payloads = {
  v 'add' .. v(1) .. v(2), v 'echo' .. '\5\0\2\7\0\0\0\1\4\0\1x\4\0\1x\x14\0\2', v 'fail' .. v 'x',
  v 'echo' .. '\0\1\1' .. '\3\63\240\0\0\0\0\0\0' .. '\5\0\1\1\1\x14\0\1', v 'nested.method.name',
  v '__rpceval' .. v 'data.list.3.1', v '__rpcbuildexec' .. v 'return ... + 1', v 'object',
  v '__rpcrunexec' .. v(1) .. v(41), v '__rpcinvoke' .. '?\0\0\0\1' .. v 'name', v 'later',
  v '__rpcbuildexec' .. '\5\0\2\7\0\0\0\1\4\0\6return\7\0\0\0\2\4\0\2 1', v 'no.such.name',
  v 'echo' .. '\6\0\8return 1' .. '!\0\0\0\7', v 'count' .. ('\0'):rep(100), v 'data',
}

local mutations = {
  common.cut, common.leaveOut, common.flip,
  function(text, i) return text:sub(1, i) .. string.char(random(0, 0x22)) .. text:sub(i + 1) end,
  function(text, i)
    local j = random(1, #text + 1)
    return text:sub(1, i) .. text:sub(j, j + random(0, 30)):rep(random(1, 20)) .. text:sub(i + 1)
  end,
  function(text) return text end,
}

local function mutate(text)
  for _ = 1, random(1, 3) do text = mutations[random(#mutations)](text, random(0, #text)) end
  return text
end

-- Mostly the payload is mutated, and the header is right; sometimes the whole message is.
local function message(sequence)
  local payload = payloads[random(#payloads)]
  if random(5) == 1 then return mutate(raw.message(random(0, 1), sequence, payload)) end
  return raw.message(random(20) == 1 and 1 or 0, sequence, mutate(payload))
end

local statuses = {}

-- Sends a few messages, and the end; reads all there is.
local function attack()
  local peer = raw.connect(server.port)
  for i = 1, perConnection do
    if not peer:send(message(i)) then break end
  end
  peer:shutdown 'send'
  while true do
    local kind, sequence, payload = raw.receive(peer)
    if not kind then
      assert(sequence ~= 'timeout', 'neither answered nor disconnected')
      break
    end
    assert(kind == 0 or kind == 1 and #payload > 0)
    local status = payload:byte()
    statuses[status] = (statuses[status] or 0) + 1
  end
  peer:close()
end

T.test(('%d mutated messages (seed %d)'):format(connections * perConnection, seed), function()
  local before = witness:call 'kilobytes'
  local descriptors = server:descriptors()
  for i = 1, connections do
    attack()
    if i % 250 == 0 then T.equal(witness:call('add', i, 1), i + 1) end
  end
  assert(server:isRunning(), 'the server died: ' .. server:errorText())
  -- Otherwise the mutations are too strong, or too weak.
  for status = 0, 2 do
    assert((statuses[status] or 0) > 30, ('status %d: %d answers'):format(status, statuses[status] or 0))
  end
  processes.waitFor('the descriptors', function() return server:descriptors() <= descriptors end)
  local after = witness:call 'kilobytes'
  assert(after < before + 300, ('%g KB became %g KB'):format(before, after))
end)

T.test('the log has printable lines only', function()
  for _, line in ipairs(server:errorLines(1)) do assert(not line:find '[^ -~]', line) end
end)

T.test('afterwards the server works', function()
  T.equal(witness:call('add', 1, 2), 3)
  T.equal(assert(rpc.newclient('127.0.0.1', server.port)):call('echo', 'new'), 'new')
end)

server:stop()
T.finish()
