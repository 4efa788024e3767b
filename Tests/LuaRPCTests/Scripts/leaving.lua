-- Peers that leave while functions of theirs wait: their descriptors are free at once, and
-- `on_disconnect` says what becomes of the functions.

local certificates = require 'certificates'
local processes = require 'processes'
local rpc = require 'rpc'
local T = require 'testing'
local test = T.test

local setup = [[
  local notes = {}
  function note(text) notes[#notes + 1] = text end
  function noted() return #notes, notes[#notes] end
  function guarded(key)
    local ended <close> = setmetatable({}, {__close = function() note 'closed' end})
    hold(key)
    note 'finished'
    return key
  end
  allowing = true
  asked = 0
  function judge()
    if allowing then return true end
    local ended <close> = setmetatable({}, {__close = function() note 'closed' end})
    asked = asked + 1
    while not allowing do copas.pause(0.001) end
    return true
  end
  function allow(value) allowing = value end
  function questions() return asked end
]]

local made = certificates.new 'localhost'

local function start(fields, isSecure)
  local secured = isSecure and ', sslparams = ' .. made:text('server', 'localhost') or ''
  local server = processes.milonga('support/server.lua', fields .. secured, 'copas = require "copas"' .. setup)
  server.port = tonumber(server:waitForOutput 'listening (%d+)\n')
  server.control = assert(rpc.newclient('localhost', server.port,
    {functab = {}, sslparams = isSecure and made:parameters('client') or nil}))
  server.control:call 'echo'
  server.before = server:descriptors()
  return server
end

-- A peer in a process of its own, which calls and is to be killed.
local function call(server, name, isSecure)
  local parameters = isSecure and ", {functab = {}, sslparams = {mode = 'client', protocol = 'any', verify = 'none'}}" or ''
  return processes.milonga('support/caller.lua', ("return 'localhost', %d%s"):format(server.port, parameters), name)
end

local function awaitFree(server)
  processes.waitFor('free descriptors', function()
    return server:descriptors() <= server.before
  end)
end

for _, isSecure in ipairs{false, true} do
  for _, choice in ipairs{'finish', 'cancel'} do
    local what = choice .. (isSecure and ', TLS' or '')

    test('peers that are killed while their functions wait: ' .. what, function()
      local server = start(("on_disconnect = '%s'"):format(choice), isSecure)
      local peers = {}
      for i = 1, 5 do peers[i] = call(server, 'guarded', isSecure) end
      server.control:call('holding', 5, 'key')
      for _, peer in ipairs(peers) do peer:stop() end
      awaitFree(server)
      if choice == 'finish' then
        T.equal(server.control:call 'noted', 0)
        server.control:call('release', 5, 'key')
      end
      processes.waitFor('the ends', function()
        return server.control:call 'noted' == (choice == 'finish' and 10 or 5)
      end)
      T.equal(select(2, server.control:call 'noted'), 'closed')
      T.equal(server.control:call('add', 1, 2), 3)
      server:stop()
    end)

    test('peers that are killed while authorize waits: ' .. what, function()
      local server = start(("authorize = judge, on_disconnect = '%s'"):format(choice), isSecure)
      server.control:call('allow', false)
      local peers = {}
      for i = 1, 5 do peers[i] = call(server, 'echo', isSecure) end
      processes.waitFor('the questions', function() return server.control:call 'questions' == 5 end)
      for _, peer in ipairs(peers) do peer:stop() end
      awaitFree(server)
      if choice == 'finish' then
        T.equal(server.control:call 'noted', 0)
        server.control:call('allow', true)
      end
      processes.waitFor('the ends', function() return server.control:call 'noted' == 5 end)
      T.equal(server.control:call('add', 1, 2), 3)
      server:stop()
    end)
  end
end

test('on_disconnect must be one of two words', function()
  for _, wrong in ipairs{'answer', 'stop', 5} do
    T.fails("'on_disconnect' must be 'finish' or 'cancel', not ", rpc.newserveronly, 'localhost', 0,
      {functab = {}, on_disconnect = wrong})
  end
end)

made:remove()
T.finish()
