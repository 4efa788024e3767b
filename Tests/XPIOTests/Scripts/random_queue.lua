-- oks: 2
-- Random operations on queues beside a model. The model knows which task waits for which direction,
-- and asks poll(2) what can be read now.
local xpio = require "xpio"
local check = require "check"

local seed = tonumber(os.getenv("XPIO_SEED")) or math.random(0, 2^31)
math.randomseed(seed)
io.stderr:write("seed ", seed, "\n")
local random = math.random

local PAIRS, STEPS = 8, 20000
local queues = {xpio.tqueue(), xpio.tqueue()}
local ends = {} -- { socket, unread = bytes, peer = }
local function open(place)
  local a, b = xpio.socketpair()
  local one, other = {socket = a, unread = 0, waiting = {}}, {socket = b, unread = 0, waiting = {}}
  one.peer, other.peer = other, one
  ends[2 * place - 1], ends[2 * place] = one, other
end
for place = 1, PAIRS do open(place) end

local scheduled = {[queues[1]] = {}, [queues[2]] = {}}
local returned, missed = 0, 0

local function isready(task)
  local e = task.e
  return e.closed or (task.direction == "read" and (e.unread > 0 or e.peer.closed)) or task.direction == "write"
end

local function wait(queue)
  local expected = {}
  for task in pairs(scheduled[queue]) do
    local key = task.e
    if isready(task) then
      expected[key] = expected[key] or {}
      expected[key][task.direction] = true
    end
  end
  local some = next(expected) ~= nil
  local tasks = queue:wait(some and 60 or 0)
  if tasks == nil then tasks = {} end
  if some and #tasks == 0 then missed = missed + 1 end
  local seen = {}
  for _, task in ipairs(tasks) do
    assert(scheduled[queue][task], "a task that did not wait")
    assert(task._dequeue == nil)
    assert(isready(task), "a task that is not ready: " .. task.direction)
    local key = tostring(task.e) .. task.direction
    assert(task.e.closed or not seen[key], "two tasks by one event")
    seen[key] = true
    scheduled[queue][task] = nil
    returned = returned + 1
  end
end

for _ = 1, STEPS do
  local e, kind = ends[random(#ends)], random(100)
  if kind <= 35 then
    local queue = queues[random(2)]
    local task = {_queue = queue, e = e, direction = random(4) == 1 and "write" or "read"}
    e.socket["when_" .. task.direction](e.socket, task)
    scheduled[queue][task] = true
  elseif kind <= 50 then
    if e.socket:try_write("abc") then e.peer.unread = e.peer.unread + 3 end
  elseif kind <= 70 then
    local data = e.socket:try_read(random(5))
    if data then e.unread = e.unread - #data end
  elseif kind <= 80 then
    local queue = queues[random(2)]
    local task = next(scheduled[queue])
    if task then
      task:_dequeue()
      scheduled[queue][task] = nil
    end
  elseif kind <= 97 then
    wait(queues[random(2)])
  else
    local place = random(PAIRS)
    for i = 2 * place - 1, 2 * place do
      ends[i].socket:close()
      ends[i].closed = true
    end
    open(place)
  end
  for _, queue in ipairs(queues) do assert(queue:isEmpty() == (next(scheduled[queue]) == nil)) end
end
check.ok("whoever is ready is returned, and nobody else", returned > 1000, returned)
check.equal("nobody is missed", missed, 0)
