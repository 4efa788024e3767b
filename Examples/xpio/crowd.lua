-- A server, its clients and child processes, all at once in one process, each with threads of its
-- own.
--
--   milonga Examples/xpio/crowd.lua [CLIENTS [CHILDREN]]
--
-- It needs two descriptors for each client and two for each child: `ulimit -n 4096` is enough for
-- the 1,000 clients and 50 children that it has by default.
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local xpio = require "xpio"
local dispatcher = require "dispatcher"

local CLIENTS, CHILDREN, ROUNDS = tonumber(arg[1] or 1000), tonumber(arg[2] or 50), 10
local SIZE = 64 -- of a message

-- Reads so many bytes; nil at the end.
local function readall(socket, size)
  local pieces = {}
  while size > 0 do
    local piece, failure = socket:read(size)
    if not piece then return nil, failure end
    pieces[#pieces + 1] = piece
    size = size - #piece
  end
  return table.concat(pieces)
end

local served = 0

local function serve(connection)
  while true do
    local message = connection:read(SIZE)
    if not message then break end
    assert(connection:write(message))
  end
  connection:close()
  served = served + 1
end

local function server(listener)
  while true do dispatcher.start(serve, assert(listener:accept())) end
end

local connected, answers = 0, 0

-- When all have connected, the gate is closed, which lets everybody pass.
local function client(number, address, gate)
  local socket <close> = assert(xpio.socket("TCP"))
  assert(socket:connect(address))
  connected = connected + 1
  assert(gate:read(1) == nil)
  for round = 1, ROUNDS do
    local message = ("%d says %d"):format(number, round)
    message = message .. (" "):rep(SIZE - #message)
    assert(socket:write(message))
    assert(readall(socket, SIZE) == message)
    answers = answers + 1
  end
end

-- A filter: what is written to it in one thread is read from it in another.
local function child(number)
  local stdin, tochild = assert(xpio.pipe())
  local fromchild, stdout = assert(xpio.pipe())
  local process = assert(xpio.spawn({"tr", "a-z", "A-Z"}, xpio.env, {[0] = stdin, [1] = stdout, [2] = 2}))
  local text = ("child %d\n"):format(number):rep(10000)
  dispatcher.start(function()
    assert(tochild:write(text) == #text)
    tochild:close()
  end)
  assert(readall(fromchild, #text) == text:upper())
  assert(fromchild:read(1) == nil)
  fromchild:close()
  local how, status = process:wait()
  assert(how == "exit" and status == 0, how)
end

local start = xpio.gettime()
dispatcher.run(function()
  local listener <close> = assert(xpio.socket("TCP"))
  assert(listener:bind("127.0.0.1"))
  assert(listener:listen())
  local serving = dispatcher.start(server, listener)

  local gate, open = assert(xpio.pipe())
  local threads = {}
  for number = 1, CLIENTS do
    threads[number] = dispatcher.start(client, number, listener:getsockname(), gate)
  end
  for number = 1, CHILDREN do threads[CLIENTS + number] = dispatcher.start(child, number) end
  while connected < CLIENTS do dispatcher.sleep(0.001) end
  open:close()

  for _, thread in ipairs(threads) do dispatcher.join(thread) end
  while served < CLIENTS do dispatcher.yield() end
  dispatcher.kill(serving)
  gate:close()
end)
print(("%d clients had %d answers, %d children have ended, in %.2f s"):format(
  connected, answers, CHILDREN, xpio.gettime() - start))
