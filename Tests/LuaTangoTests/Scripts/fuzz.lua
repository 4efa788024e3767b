-- Thousands of mutated messages against a living server, over one connection after the other.
--
--   fuzz.lua [SEED]    repeats a run

local common = require 'mutations'
local processes = require 'processes'
local socket = require 'socket'
local tango = require 'tango'
local T = require 'testing'

local connections, perConnection = 2500, 4
local seed = tonumber(arg[1]) or os.time()
math.randomseed(seed)
local random = math.random

-- Nothing in here can be hurt, whatever the messages say.
local server = processes.server([[
  max_references = 50, max_frame_bytes = 100000,
  functab = {add = add, echo = echo, count = count, person = person, data = {x = 1, list = {1, 2}},
    nested = nested, strerror = strerror, kilobytes = kilobytes}]])
local witness = tango.client.socket.connect{port = server.port}

local requests = {
  '{"add",1,2}', '{"echo",nil,"a",[4]=true}', '{"echo",{1,{2,{3}},x="y",["z w"]=1e5}}',
  '{"echo","quotes \\" and \\\\ and \\n and \\0651"}', '{"data"}', '{"data.x",5}', '{"data.list",{}}',
  '{"tango.ref_create","person","horst"}', '{"tango.ref_call","0123","name"}', '{"strerror"}',
  '{"tango.ref_release","x"}', '{"nested.method.name",-1,0.5,1e300,0/0}', '{"nosuch.name"}',
  "{'echo',[true]=1,[1.5]=2,[{}]={}}", '{"count",' .. ('1,'):rep(100) .. '}',
}
local tokens = {
  '{', '}', '[', ']', '=', ',', ';', '"', "'", '\\', '\n', '\r', '\0', '-', '.', '0x', 'e', 'nil',
  'true', '1e999', '0/0', '[[', ']]', '--', 'return ', '99999999999', '5\n', '\255', 'os.exit()', '()',
}

local mutations = {
  common.cut, common.leaveOut, common.flip,
  function(text, i) return text:sub(1, i) .. tokens[random(#tokens)] .. text:sub(i + 1) end,
  function(text, i)
    return text:sub(1, i) .. tokens[random(#tokens)]:rep(random(1, 200)) .. text:sub(i + 1)
  end,
  function(text, i)
    local j = random(1, #text + 1)
    return text:sub(1, i) .. text:sub(j, j + random(0, 30)) .. text:sub(i + 1)
  end,
  function(text) return text end,
}

local function mutate(text)
  for _ = 1, random(1, 3) do text = mutations[random(#mutations)](text, random(0, #text)) end
  return text
end

-- Mostly the body is mutated, and the length is right; sometimes the whole frame is.
local function message()
  local body = requests[random(#requests)]
  if random(5) == 1 then return mutate(#body .. '\n' .. body) end
  body = mutate(body)
  return #body .. '\n' .. body
end

local answered, failures = 0, 0

-- Sends a few messages, and the end; reads all there is.
local function attack()
  local peer = assert(socket.connect('127.0.0.1', server.port))
  peer:settimeout(60)
  for _ = 1, perConnection do
    if not peer:send(message()) then break end
  end
  peer:shutdown 'send'
  while true do
    local length, reason = peer:receive '*l'
    if not length then
      assert(reason ~= 'timeout', 'neither answered nor disconnected')
      break
    end
    local body, reason = peer:receive(tonumber(length))
    if not body then
      assert(reason ~= 'timeout', 'half an answer')
      break
    end
    local message = assert(load('return ' .. body, 'answer', 't', {}))()
    assert(message[1] == true or message[1] == false and message[2] ~= nil, body)
    if message[1] then answered = answered + 1 else failures = failures + 1 end
  end
  peer:close()
end

T.test(('%d mutated messages (seed %d)'):format(connections * perConnection, seed), function()
  local before = witness.kilobytes()
  local descriptors = server:descriptors()
  for i = 1, connections do
    attack()
    if i % 250 == 0 then T.equal(witness.add(i, 1), i + 1) end
  end
  assert(server:isRunning(), 'the server died: ' .. server:errorText())
  -- Otherwise the mutations are too strong, or too weak.
  assert(answered > 500, 'only ' .. answered .. ' messages were understood')
  assert(failures > 500, 'only ' .. failures .. ' messages were answered with an error')
  processes.waitFor('the descriptors', function() return server:descriptors() <= descriptors end)
  local after = witness.kilobytes()
  assert(after < before + 200, ('%g KB became %g KB'):format(before, after))
end)

T.test('the log has one line for each who was disconnected', function()
  local lines = server:errorLines(1)
  assert(#lines <= connections, #lines .. ' lines')
  for _, line in ipairs(lines) do
    T.contains(line, 'disconnected: ')
    assert(not line:find '[^ -~]', line)
  end
end)

T.test('afterwards the server works', function()
  T.equal(witness.add(1, 2), 3)
  T.equal(tango.client.socket.connect{port = server.port}.echo 'new', 'new')
end)

server:stop()
T.finish()
