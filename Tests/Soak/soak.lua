-- The soak test: clients of every kind come, go, stop reading, are reset and say nothing, for a
-- long time. In the end the server, and the clients' process, hold what they held at the beginning.
--
--   milonga Tests/Soak/soak.lua [--seconds 600] [--warmup 30] [--clients 100] [--seed N]
--
-- It compares both processes after a warm-up with both processes after the end, when all clients are
-- gone. The exit status is 0 when nothing has grown, and every answer was right.

-- Free memory goes back to the system at once. Otherwise a leak looks like memory that malloc keeps
-- for later.
if not os.getenv 'MALLOC_TRIM_THRESHOLD_' then
  local words = {'MALLOC_MMAP_THRESHOLD_=65536', 'MALLOC_TRIM_THRESHOLD_=65536', 'exec'}
  for i = -1, #arg do words[#words + 1] = "'" .. arg[i]:gsub("'", "'\\''") .. "'" end
  os.exit(os.execute(table.concat(words, ' ')) == true)
end

local folder = arg[0]:match '^(.*)/' or '.'
package.path = folder .. '/?.lua;' .. package.path
local copas = require 'copas'
local socket = require 'socket'
local state = require 'state'

local ANSWER_SECONDS = 60
local SETTLING_SECONDS = 60
local MOST_SHOWN = 10 -- visits that went wrong
local MOST_HELD_UP = 100 -- milliseconds of a call to a server that is busy with others

local options = {seconds = 600, warmup = 30, clients = 100, seed = os.time()}
do
  local i = 1
  while arg[i] do
    local name = arg[i]:match '^%-%-(%l+)$'
    local value = tonumber(arg[i + 1])
    if not options[name] or not value then
      io.stderr:write(("soak: cannot use '%s %s'; "):format(arg[i], arg[i + 1] or ''),
        'options are --seconds, --warmup, --clients and --seed, each with a number\n')
      os.exit(2)
    end
    options[name], i = value, i + 2
  end
end
math.randomseed(math.tointeger(options.seed))
local random = math.random

local function say(...) io.write(string.format(...), '\n') io.flush() end

-- ------------------------------------------------------------------ the server

local host, port, datagramPort, controlPort = '127.0.0.1', nil, nil, nil
local server = assert(io.popen(
  ("LUA_PATH='%s/?.lua;;' exec '%s' '%s/server.lua'"):format(folder, arg[-1], folder)))
do
  local line = server:read() or ''
  port, datagramPort, controlPort = line:match '^listening (%d+) (%d+) (%d+)$'
  if not port then
    io.stderr:write('soak: the server did not start\n')
    os.exit(1)
  end
end

local function connect()
  local c = copas.wrap(socket.tcp4())
  c:settimeout(ANSWER_SECONDS)
  -- Each address has ports of its own, which are taken for some time after the end.
  assert(c:bind('127.0.0.' .. random(1, 20), 0))
  assert(c:connect(host, port))
  return c
end

local function reset(c)
  c:setoption('linger', {on = true, timeout = 0})
  c:close()
end

local function expect(what, expected, got, problem)
  if got ~= expected then
    error(('%s: expected %q, got %s'):format(what, expected, tostring(got or problem)), 0)
  end
end

-- ----------------------------------------------------------------- the clients

local letters = ('abcdefghijklmnopqrstuvwxyz0123456789'):rep(64 * 1024)
local function text(most)
  local first, length = random(36), random(0, most)
  return letters:sub(first, first + length)
end

local clients = {}

function clients.echo()
  local c = connect()
  c:send 'echo\n'
  for _ = 1, random(20) do
    local line = text(200)
    c:send(line .. '\n')
    expect('a line', line, c:receive())
  end
  c:close()
end

function clients.manyLinesAtOnce()
  local c, lines = connect(), {'echo'}
  for i = 1, random(300) do lines[i + 1] = text(50) end
  c:send(table.concat(lines, '\n') .. '\n')
  for i = 2, #lines do expect('a line of many', lines[i], c:receive()) end
  c:close()
end

function clients.longLine()
  local c, line = connect(), text(1000000)
  c:send('echo\n' .. line .. '\n')
  if c:receive() ~= line then error('a long line came back otherwise', 0) end
  c:close()
end

function clients.halfClose()
  local c, line = connect(), text(100)
  c:send('echo\n' .. line .. '\n')
  c:shutdown 'send'
  expect('what came before the end', line .. '\n', c:receive '*a')
  c:close()
end

function clients.byteByByte()
  local c, line = connect(), text(20)
  for byte in ('patience\n' .. line .. '\n'):gmatch '.' do
    c:send(byte)
    copas.pause(random() * 0.05)
  end
  expect('byte by byte', line, c:receive())
  c:close()
end

function clients.silence()
  local c = connect()
  expect('the server ends it', 'closed', select(2, c:receive()))
  c:close()
end

function clients.silenceInALine()
  local c = connect()
  c:send('echo\n' .. text(100))
  expect('the server ends it', 'closed', select(2, c:receive()))
  c:close()
end

function clients.resetInALine()
  local c = connect()
  c:send('echo\n' .. text(1000))
  if random(2) == 1 then copas.pause(random() * 0.01) end
  reset(c)
end

function clients.resetAtOnce() reset(connect()) end

function clients.closeAtOnce() connect():close() end

function clients.neverRead()
  local c = connect()
  c:send 'flood\n'
  copas.pause(random() * 2)
  if random(2) == 1 then reset(c) else c:close() end
end

--- Sends, and never reads the answers, until neither side can send more.
function clients.neverReadEchoes()
  local c = connect()
  c:settimeouts(nil, 0.2)
  c:send 'echo\n'
  local lines = (text(1000) .. '\n'):rep(1000)
  repeat until not c:send(lines)
  reset(c)
end

function clients.givesUp()
  local c = connect()
  c:send 'sleep\n'
  c:settimeout(random() * 0.2)
  local line, problem = c:receive()
  if line ~= 'awake' then expect('gives up', 'timeout', problem) end
  c:close()
end

local function portsOfTango()
  local c, ports = connect(), {}
  c:send 'tango\n'
  for port in c:receive():gmatch '%d+' do ports[#ports + 1] = tonumber(port) end
  c:close()
  return ports
end

--- Leaves while a function of tango's waits, with calls behind it.
function clients.leavesAFunction()
  local ports = portsOfTango()
  local called = copas.wrap(socket.tcp4())
  called:settimeout(ANSWER_SECONDS)
  assert(called:connect(host, ports[random(#ports)]))
  called:send(('8\n{"note"}'):rep(random(3) - 1) .. '8\n{"wait"}' .. ('8\n{"wait"}8\n{"note"}'):rep(random(3) - 1))
  if random(2) == 1 then copas.pause(random() * 0.1) end
  if random(3) == 1 then reset(called) else called:close() end
end

--- Has calls of some milliseconds under way, all at once.
function clients.pipelinesExpensiveCalls()
  local ports = portsOfTango()
  local called, count = copas.wrap(socket.tcp4()), random(20)
  called:settimeout(ANSWER_SECONDS)
  assert(called:connect(host, ports[random(#ports)]))
  called:send(('8\n{"burn"}'):rep(count))
  if random(3) == 1 then return reset(called) end
  for _ = 1, count do
    expect('the length of an answer', '8', called:receive())
    expect('an answer', '{true,1}', called:receive(8))
  end
  called:close()
end

--- Asks a ZeroMQ server for 20 MB, and reads none of it. The bytes are those of ZMTP 3.
function clients.neverReadsZMQ()
  local c = connect()
  c:send 'zmq\n'
  local zmq = tonumber(c:receive())
  c:close()
  c = copas.wrap(socket.tcp4())
  c:settimeout(ANSWER_SECONDS)
  assert(c:connect(host, zmq))
  c:send('\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL' .. ('\0'):rep(48))
  assert(#assert(c:receive(64)) == 64)
  local ready = '\5READY\x0bSocket-Type\0\0\0\6DEALER\8Identity\0\0\0\0'
  c:send('\4' .. string.char(#ready) .. ready)
  c:send(('\1\2id\1\0\0\x0e{"big",100000}'):rep(200))
  copas.pause(random() * 2)
  if random(2) == 1 then reset(c) else c:close() end
end

function clients.isRemoved()
  local c
  local thread = copas.addthread(function()
    c = connect()
    c:send 'sleep\n'
    c:receive()
    copas.pauseforever()
  end)
  copas.pause(random() * 0.1)
  copas.removethread(thread)
  if c then c:close() end
end

function clients.isFailed()
  local c = connect()
  c:send 'fail\n'
  expect('its handler fails', 'closed', select(2, c:receive()))
  c:close()
end

function clients.isLeft()
  local c = connect()
  c:send 'bye\n'
  expect('its handler returns', 'closed', select(2, c:receive()))
  c:close()
end

function clients.datagrams()
  local skt = copas.wrap(socket.udp4())
  skt:settimeout(1)
  assert(skt:setpeername(host, datagramPort))
  for _ = 1, random(5) do
    local data = text(1000)
    skt:send(data)
    local answer, problem = skt:receive(2048)
    -- Datagrams may be lost.
    if answer or problem ~= 'timeout' then expect('a datagram', data, answer, problem) end
  end
  skt:close()
end

function clients.nobodyThere()
  local holder, c = socket.tcp4(), socket.tcp4()
  holder:bind(host, 0)
  local _, closed = holder:getsockname()
  expect('nobody listens', 'connection refused', select(2, copas.connect(c, host, closed)))
  holder:close()
  c:close()
end

for _, name in ipairs {
  'lock', 'semaphore', 'queue', 'future', 'timer', 'timeout', 'threads', 'server',
} do
  clients[name] = function()
    local c = connect()
    c:send(name .. '\n')
    local answer, problem = c:receive()
    if answer ~= 'timeout' then expect(name, 'done', answer, problem) end
    c:close()
  end
end

-- --------------------------------------------------------------------- the run

local names = {}
for name in pairs(clients) do names[#names + 1] = name end
table.sort(names)

local failures, visits, active = 0, 0, 0

local function visitor(deadline)
  copas.seterrorhandler(function(...) io.stderr:write(copas.gettraceback(...), '\n') end)
  while copas.gettime() < deadline do
    copas.pause(random() * 0.1)
    local name = names[random(#names)]
    local good, problem = pcall(clients[name])
    visits = visits + 1
    if not good then
      failures = failures + 1
      if failures <= MOST_SHOWN then
        io.stderr:write(('soak: %s: %s\n'):format(name, tostring(problem):sub(1, 300)))
      end
    end
  end
  active = active - 1
end

--- Lets the clients come for so many seconds; all have gone when it returns.
local function load(seconds)
  local deadline = copas.gettime() + seconds
  for _ = 1, options.clients do
    active = active + 1
    copas.addthread(visitor, deadline)
  end
  local shown = copas.gettime()
  while active > 0 do
    copas.pause(0.1)
    if copas.gettime() - shown >= 60 then
      shown = copas.gettime()
      say('  %d visits, %d failures', visits, failures)
    end
  end
end

--- Makes both processes hold as many receive buffers as they ever keep for later (256), and more.
local function fillPools()
  local left = 300
  for _ = 1, left do
    copas.addthread(function()
      local c = connect()
      c:send 'half\nhalf'
      c:settimeout(1)
      expect('half a line', 'timeout', select(2, c:receive()))
      c:close()
      left = left - 1
    end)
  end
  local deadline = copas.gettime() + ANSWER_SECONDS
  repeat copas.pause(0.1) until left == 0 or copas.gettime() > deadline
end

local control

local function ask(question)
  assert(control:send(question .. '\n'))
  return assert(control:receive())
end

--- What both processes hold when nothing happens any more: two states in a row are the same.
local function settled()
  local server, own
  local deadline = copas.gettime() + SETTLING_SECONDS
  repeat
    local before = server
    copas.pause(2)
    server, own = state.parse(ask 'state'), state.now()
    local isQuiet = before and before.threads == server.threads
      and before.descriptors == server.descriptors and before.references == server.references
  until isQuiet or copas.gettime() > deadline
  return {server = server, clients = own}
end

local units = {lua = 'KB', resident = 'KB'}

--- Shows both states; whether something has grown.
local function compare(before, after)
  local hasGrown = false
  say('%-9s %-12s %12s %12s', '', '', 'after warm-up', 'in the end')
  for _, side in ipairs {'server', 'clients'} do
    local grown = {}
    for _, name in ipairs(state.grown(before[side], after[side])) do
      grown[name], hasGrown = true, true
    end
    for _, name in ipairs(state.names) do
      say('%-9s %-12s %10d %-2s %10d %-2s  %s', side, name, before[side][name], units[name] or '',
        after[side][name], units[name] or '', grown[name] and 'HAS GROWN' or '')
    end
  end
  return hasGrown
end

--- Starts the bystander, whose calls no other client may hold up; it ends after so many seconds.
local function startBystander(seconds)
  local port = portsOfTango()[1]
  return assert(io.popen(
    ("exec '%s' '%s/bystander.lua' %d %g"):format(arg[-1], folder, port, seconds)))
end

local function soak()
  control = copas.wrap(socket.tcp4())
  control:settimeout(ANSWER_SECONDS)
  assert(control:connect(host, controlPort))
  say('soak: %d clients for %g s after %g s of warm-up, seed %d', options.clients, options.seconds,
    options.warmup, options.seed)
  fillPools()
  load(options.warmup)
  local before = settled()
  local start = copas.gettime()
  local bystander = startBystander(options.seconds)
  load(options.seconds)
  local seconds = copas.gettime() - start
  local calls, worst = bystander:read('a'):match '(%d+) ([%d.]+)'
  bystander:close()
  local after = settled()
  local connections, wanted, unwanted = ask 'counts':match '^(%d+) (%d+) (%d+)$'
  control:close()

  local hasGrown = compare(before, after)
  say('%d visits in %.0f s; the server had %d connections and reported %d wanted errors',
    visits, seconds, connections, wanted)
  say('a bystander had %s calls; the worst took %s ms', calls, worst)
  local problems = {}
  if tonumber(worst or 'inf') >= MOST_HELD_UP then
    problems[#problems + 1] = 'a call of the bystander took ' .. tostring(worst) .. ' ms'
  end
  if hasGrown then problems[#problems + 1] = 'something has grown' end
  if failures > 0 then problems[#problems + 1] = failures .. ' visits went wrong' end
  if tonumber(unwanted) > 0 then problems[#problems + 1] = unwanted .. ' unwanted errors' end
  return problems
end

local problems = {'the soak did not end'}
copas.addthread(function()
  copas.seterrorhandler(function(...)
    io.stderr:write('soak: ', copas.gettraceback(...), '\n')
    os.exit(1)
  end)
  problems = soak()
end)
copas.loop()
local ended, how, status = server:close()
if not ended then
  problems[#problems + 1] = ('the server ended with %s %d'):format(how, status)
end
say('soak: %s', #problems == 0 and 'nothing has grown, every answer was right' or table.concat(problems, ', '))
os.exit(#problems == 0)
