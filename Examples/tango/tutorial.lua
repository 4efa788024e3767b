-- Plays the tango tutorial: starts a server, and shows what a client can do with it, step by step.
--
--   build/milonga Examples/tango/tutorial.lua

local tango = require 'tango'

-- Each chapter has a title, a text, and steps: the client's code; how many lines the server prints
-- because of it; what the client gets, or the error it gets, or just that it gets something.
local chapters = {
  {
    'Greetings!',
    'The server has defined a function, greet. A client calls it as if it were its own.',
    {"con = tango.client.socket.connect{address = 'localhost', port = PORT}"},
    {"con.greet('Hello', 'Horst')", prints = 1},
  },
  {
    'Access anything',
    'Unless told otherwise a server offers all its globals: to this machine only.',
    {"con.print('I', 'call', 'print', 'myself')", prints = 1},
    {"con.math.sqrt(4)", gets = '2.0'},
    {"con.os.execute('sleep 1')   -- it is the server that sleeps", gets = 'true, "exit", 0'},
  },
  {
    'Remote variables',
    'A variable is read by calling it, and written by calling it with the new value.',
    {"friends = con.friends()", shows = "friends", gets = '{"Anna", "Bo"}'},
    {"table.insert(friends, 'Horst')"},
    {"con.friends(friends)"},
    {"con.friends()", gets = '{"Anna", "Bo", "Horst"}'},
  },
  {
    'Errors come home',
    'What goes wrong on the server is an error of the client, and both go on.',
    {"con.math.sqrt('four')", fails = 'number expected, got string'},
    {"con.horst.dieter()", fails = 'tango server error "horst.dieter": no such variable'},
    {"con.string.upper('still here')", gets = '"STILL HERE"'},
  },
  {
    'Remote objects: tango.ref',
    'Files, pipes and objects with methods stay on the server; a reference stands for them here.',
    {"p = tango.ref(con.io.popen, 'ls')"},
    {"p:read('l')", gets = true},
    {"p:close()", gets = true},
    {"tango.unref(p)   -- the server may forget it"},
    {"p:read('l')", fails = 'tango.ref invalid id'},
  },
  {
    'Only what you offer: functab',
    'Another server, with functab = math, has the functions of that table and nothing else.',
    {"con = tango.client.socket.connect{port = PORT}", server = 'only math'},
    {"con.sqrt(4)", gets = '2.0'},
    {"con.os.execute('ls')", fails = 'tango server error "os.execute": no such variable'},
  },
  {
    'No access to variables',
    'And one with read_access = false, write_access = false. Functions can still be called.',
    {"con = tango.client.socket.connect{port = PORT}", server = 'no variables'},
    {"con.friends()", fails = 'tango server error "friends": no read_access'},
    {"con.friends({'Nobody'})", fails = 'tango server error "friends": no write_access'},
    {"con.greet('Functions', 'are', 'fine')", prints = 1},
  },
  {
    'Your own serialization',
    'Client and server can use whatever turns tables into strings and back, such as JSON.',
    needs = 'cjson',
    {"cjson = require 'cjson'"},
    {"con = tango.client.socket.connect{port = PORT,\n"
      .. "        serialize = cjson.encode, unserialize = cjson.decode}", server = 'JSON'},
    {"con.string.rep('tango ', 3)", gets = '"tango tango tango "'},
  },
}

-- A value as Lua would write it.
local function show(value)
  if type(value) == 'string' then return '"' .. value:gsub('[\\"\n]', {
    ['\\'] = '\\\\', ['"'] = '\\"', ['\n'] = '\\n'}) .. '"'
  end
  if type(value) ~= 'table' then return tostring(value) end
  local parts = {}
  for i, element in ipairs(value) do parts[i] = show(element) end
  return '{' .. table.concat(parts, ', ') .. '}'
end

local function showAll(values)
  local parts = {}
  for i = 1, values.n do parts[i] = show(values[i]) end
  return table.concat(parts, ', ')
end

-- The server: a process of its own, run by the interpreter that runs this.
local Server = {}
Server.__index = Server

function Server.start(script)
  local function quote(word) return "'" .. word:gsub("'", "'\\''") .. "'" end
  local first, words = 0, {}
  while arg[first - 1] do first = first - 1 end
  for i = first, -1 do words[#words + 1] = quote(arg[i]) end
  words[#words + 1] = quote(script)
  -- The shell tells its process id, and becomes the server.
  local pipe = assert(io.popen('echo $$; exec ' .. table.concat(words, ' ') .. ' 0 </dev/null'))
  return setmetatable({pipe = pipe, pid = pipe:read 'l', ports = {}}, Server)
end

-- The next line that the server prints.
function Server:line() return self.pipe:read 'l' or error('the server has ended', 0) end

function Server:waitUntilReady()
  for line in function() return self:line() end do
    if line == 'ready' then return end
    local name, port = line:match '^(.*) on port (%d+)$'
    if not name then error('the server says: ' .. line, 0) end
    self.ports[name] = port
  end
end

function Server:stop()
  os.execute('kill ' .. self.pid .. ' 2>/dev/null')
  self.pipe:close()
end

-- What the steps' code works with.
local environment = setmetatable({tango = tango}, {__index = _G})

local function check(is, expected)
  if expected == true and is ~= '' or is == (expected or '') then return end
  error(('expected %s, got %s'):format(expected or 'nothing', is), 0)
end

local function play(step, server)
  local code = step[1]:gsub('PORT', server.ports[step.server or 'everything'])
  print('    > ' .. code)
  local f = load('return ' .. code, '=tutorial', 't', environment)
    or assert(load(code, '=tutorial', 't', environment))
  local results = table.pack(pcall(f))
  local ok = table.remove(results, 1)
  results.n = results.n - 1
  for _ = 1, step.prints or 0 do print('      the server prints:  ' .. server:line()) end
  if step.fails then
    if ok then error('expected an error, got ' .. showAll(results), 0) end
    local message = tostring(results[1]):gsub('^tutorial:%d+: ', '')
    print('      the client gets an error:  ' .. message)
    if not message:find(step.fails, 1, true) then error('expected another error', 0) end
    return
  end
  if not ok then error(results[1], 0) end
  if step.shows then results = table.pack(environment[step.shows]) end
  if step.gets then
    print('      the client gets:  ' .. showAll(results))
    check(showAll(results), step.gets)
  end
end

local function playAll(server)
  server:waitUntilReady()
  print(('It runs as process %s and listens on port %s.'):format(
    server.pid, server.ports.everything))
  local number = 0
  for _, chapter in ipairs(chapters) do
    if not chapter.needs or pcall(require, chapter.needs) then
      number = number + 1
      print(('\n%d. %s\n   %s\n'):format(number, chapter[1], chapter[2]))
      for i = 3, #chapter do play(chapter[i], server) end
    else
      print(('\n(Without the module %s: no chapter "%s".)'):format(chapter.needs, chapter[1]))
    end
  end
end

io.stdout:setvbuf 'line'
local script = (arg[0]:match '^.*/' or '') .. 'greet-server.lua'
print 'THE TANGO TUTORIAL\n'
print('Two programs talk over TCP. The server is ' .. script .. '.')
local server = Server.start(script)
local ok, reason = pcall(playAll, server)
server:stop()
if not ok then
  io.stderr:write('\nThe tutorial failed: ', tostring(reason), '\n')
  os.exit(1)
end
print '\nThat was it. The server has been stopped. Now start one of your own:\n'
print('    build/milonga ' .. script)
print '\nand, in another terminal, talk to it:\n'
print '    build/milonga -i -l tango'
print "    > con = tango.client.socket.connect()"
print "    > con.greet('It takes two to tango')"
