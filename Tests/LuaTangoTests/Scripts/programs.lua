-- Whole programs, each in a process of its own: servers and clients as users write them.

local processes = require 'processes'
local socket = require 'socket'
local T = require 'testing'
local test = T.test

-- Starts a shop, and waits until it listens.
local function open(kind)
  local port = processes.freePort()
  local shop = processes.milonga('support/shop.lua', port, kind)
  shop.port = port
  processes.waitFor('the shop', function()
    assert(shop:isRunning(), shop:errorText())
    local probe = socket.connect('127.0.0.1', port)
    return probe and probe:close()
  end)
  return shop
end

-- Runs a customer to its end; gives what it printed, and its error.
local function attempt(shop, name)
  local customer = processes.milonga('support/customer.lua', shop.port, name)
  customer:waitForEnd()
  local text, errors = customer:text(), customer:errorText()
  customer:stop()
  return text, errors
end

local function run(shop, name)
  local text, errors = attempt(shop, name)
  T.equal(errors, '')
  return text
end

local shop = open 'everything'

test('a function of the server', function()
  T.equal(run(shop, 'buy'), '()\n')
  T.equal(shop:text(), 'sold\tmate\t2\n')
end)

test("Lua's own functions", function()
  T.equal(run(shop, 'useLua'), '(2 as float)\n')
  T.equal(shop:text(), 'sold\tmate\t2\nfrom\tafar\t1\n')
end)

test('read a remote variable', function()
  T.equal(run(shop, 'readVariable'), T.list{'mate', 'yerba'} .. '\n')
end)

test('write a remote variable', function()
  run(shop, 'writeVariable')
  T.equal(run(shop, 'readVariable'), T.list{'mate', 'yerba', 'bombilla'} .. '\n')
end)

test('a pipe, locally', function()
  local first = assert(io.popen 'ls'):read 'l'
  T.equal(run(shop, 'localPipe'), T.list(first) .. '\n')
end)

test('a pipe, remotely', function()
  local first = assert(io.popen 'ls'):read 'l'
  T.equal(run(shop, 'remotePipe'), T.list(first) .. '\n')
  T.contains(run(shop, 'pipeAfterRelease'), 'tango.ref invalid id')
end)

T.equal(shop:errorText(), '')
shop:stop()

test('only what is in functab', function()
  local shop = open 'math'
  T.equal(run(shop, 'sqrt'), '(2 as float)\n')
  T.contains(run(shop, 'nestedSqrt'), 'no such variable')
  shop:stop()
end)

test('neither read nor write access', function()
  local shop = open 'closed'
  local _, reason = attempt(shop, 'readVariable')
  T.contains(reason, 'tango server error "stock": no read_access')
  _, reason = attempt(shop, 'clearVariable')
  T.contains(reason, 'tango server error "stock": no write_access')
  shop:stop()
end)

test('serialization with cjson', function()
  local shop = open 'json'
  T.equal(run(shop, 'json'), T.list(2.0, {'mate', 'yerba'}) .. '\n')
  shop:stop()
end)

T.finish()
