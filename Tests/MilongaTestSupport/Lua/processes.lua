-- Starts and watches other programs: tango servers, and clients that are not Milonga. For every Lua
-- from 5.1 on.
--
-- Programs that still run when the test ends are killed by the test's Swift part, with the whole
-- process group.

local socket = require 'socket'

local processes = {}
local Process = {}
Process.__index = Process

local directory = arg[0]:match('^(.*)/') or '.'

local function quote(word) return "'" .. tostring(word):gsub("'", "'\\''") .. "'" end

-- The interpreter under test. It is the one that runs this script, unless that is a stock Lua in the
-- part of a peer; then the variable MILONGA names it.
local function interpreter()
  if not package.preload.tango then return quote(assert(os.getenv 'MILONGA', 'MILONGA is not set')) end
  local words, first = {}, 0
  while arg[first - 1] do first = first - 1 end
  for i = first, -1 do words[#words + 1] = quote(arg[i]) end
  return table.concat(words, ' ')
end

local function contents(path)
  local file = io.open(path, 'rb')
  if not file then return '' end
  local text = file:read('*a')
  file:close()
  return text
end

-- Starts a command, a list of words; the program is quoted already.
local function start(program, words, environment)
  local self = setmetatable({output = os.tmpname(), errors = os.tmpname()}, Process)
  local parts = {'exec', environment or '', program}
  for _, word in ipairs(words) do parts[#parts + 1] = quote(word) end
  local command = ('{ %s; } </dev/null >%s 2>%s & echo $!'):format(
    table.concat(parts, ' '), self.output, self.errors)
  local pipe = io.popen(command)
  self.pid = pipe:read('*l')
  pipe:close()
  return self
end

-- Runs a script of this directory under the interpreter under test.
function processes.milonga(script, ...)
  return start(interpreter(), {directory .. '/' .. script, ...})
end

-- Runs a script of this directory under another Lua.
function processes.lua(version, script, ...)
  return start('lua' .. version, {directory .. '/' .. script, ...})
end

-- Runs a script of this directory under Lua 5.1, with the original that a folder's `env.sh` makes
-- known.
function processes.original(folder, script, ...)
  return start('sh', {'-c', '. "$0"/env.sh && exec lua5.1 "$@"', folder, directory .. '/' .. script, ...})
end

-- Starts a server and waits until it listens.
--
-- configuration: the fields of its configuration, as a Lua text.
-- setup: Lua statements that it runs first.
function processes.server(configuration, setup)
  local self = processes.milonga('support/server.lua', configuration or '', setup or '')
  self.port = tonumber(self:waitForOutput('listening (%d+)\n'))
  return self
end

function Process:text() return contents(self.output) end
function Process:errorText() return contents(self.errors) end

function Process:isRunning()
  local status = contents('/proc/' .. self.pid .. '/stat')
  return status ~= '' and not status:find('%) Z ')
end

-- Waits until f returns something true, and returns that. On a loaded machine this may take long.
function processes.waitFor(what, f, seconds)
  local deadline = socket.gettime() + (seconds or 60)
  while true do
    local result = f()
    if result then return result end
    if socket.gettime() > deadline then error('waited in vain for ' .. what, 2) end
    socket.sleep(0.005)
  end
end

-- Waits until the output matches the pattern; returns the first capture.
function Process:waitForOutput(pattern)
  return processes.waitFor(pattern, function()
    local found = self:text():match(pattern)
    if not found and not self:isRunning() then
      error('ended too early: ' .. self:text() .. self:errorText(), 3)
    end
    return found
  end)
end

function Process:waitForEnd()
  processes.waitFor('the end of a process', function() return not self:isRunning() end)
end

-- The lines on standard error, of which there have to be `count`.
function Process:errorLines(count)
  local lines
  pcall(processes.waitFor, 'lines', function()
    lines = {}
    for line in self:errorText():gmatch('[^\n]+') do lines[#lines + 1] = line end
    return #lines >= count
  end)
  return lines
end

function Process:stop()
  os.execute('kill -9 ' .. self.pid .. ' 2>/dev/null')
  self:waitForEnd()
  os.remove(self.output)
  os.remove(self.errors)
end

local function memory(self, what)
  return tonumber(contents('/proc/' .. self.pid .. '/status'):match(what .. ':%s*(%d+)')) * 1024
end

-- Bytes of memory that are in use.
function Process:memory() return memory(self, 'VmRSS') end

-- Bytes of memory that were in use at the moment when it had the most.
function Process:peakMemory() return memory(self, 'VmHWM') end

-- The number of open descriptors.
function Process:descriptors()
  local pipe = io.popen('ls /proc/' .. self.pid .. '/fd | wc -l')
  local count = tonumber(pipe:read('*a'))
  pipe:close()
  return count
end

local holders = {}

-- A port on which no program listens, and which the system gives to no other program: a socket that
-- does not listen holds it. Servers may listen on it, because all of them allow their address to be
-- used again.
function processes.freePort()
  local holder = assert(socket.tcp4())
  assert(holder:setoption('reuseaddr', true))
  assert(holder:bind('127.0.0.1', 0))
  holders[#holders + 1] = holder
  local _, port = holder:getsockname()
  return tonumber(port)
end

return processes
