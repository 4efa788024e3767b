-- oks: 20
-- Clients that say nothing, are slow, reset, never read: each costs its own connection only.
local copas = require "copas"
local socket = require "socket"
local check = require "check"

local EACH = 20
local SECONDS = 0.3

local ends, open = {}, 0
local block = ("flood "):rep(10000)
local handler = copas.handler(function(c)
  open = open + 1
  c:setoption("send-buffer-size", 16 * 1024)
  local line, why, partial
  repeat
    line, why, partial = c:receive()
    local answer = line == "flood" and block or line and line .. "\n"
    while answer and not why do
      why, partial = select(2, c:send(answer))
      if answer ~= block then break end
    end
  until why
  ends[#ends + 1] = why .. ":" .. partial
  open = open - 1
end)
local server, port = check.listener()
copas.addserver(server, handler, SECONDS)
-- Serves clients that must not be given up when the machine is slow.
local patient, patientPort = check.listener()
copas.addserver(patient, handler, 100)

local function connect(first, other)
  local c = copas.wrap(socket.tcp4())
  -- So that buffers are soon full.
  c:setoption("recv-buffer-size", 16 * 1024)
  c:settimeout(100)
  assert(c:connect("127.0.0.1", other or port))
  if first then c:send(first) end
  return c
end

--- Kilobytes of the process.
local function resident()
  for line in io.lines "/proc/self/smaps_rollup" do
    local kilobytes = line:match "^Rss:%s+(%d+)"
    if kilobytes then return tonumber(kilobytes) end
  end
end

--- How many connections ended in the way that the pattern describes.
local function ended(pattern)
  local count = 0
  for _, why in ipairs(ends) do
    if why:find(pattern) then count = count + 1 end
  end
  return count
end

--- Runs so many clients of one kind, and beside them one that is well served all the time, while
--- they are there. Returns when the server has got rid of all.
local function visit(what, client)
  ends = {}
  collectgarbage()
  collectgarbage()
  local before, lua, left = resident(), collectgarbage "count", EACH
  for i = 1, EACH do
    copas.addthread(function()
      client(i)
      left = left - 1
    end)
  end
  local good, rounds, most = connect(nil, patientPort), 0, 0
  repeat
    good:send("round\n")
    assert(good:receive() == "round", what)
    rounds = rounds + 1
    if rounds % 5 == 0 then most = math.max(most, resident()) end
    copas.pause(0.001)
  until left == 0 and open == 1 and rounds >= 5
  good:close()
  while open > 0 do copas.pause(0.001) end
  collectgarbage()
  collectgarbage()
  check.ok(what .. ": others are served", rounds >= 5, rounds)
  -- AddressSanitizer keeps what was freed for some time. Without a bound there would be some
  -- hundred MB.
  check.ok(what .. ": memory is bounded", most - before < 64 * 1024 and collectgarbage "count" - lua < 256,
    before, most, lua, collectgarbage "count")
end

check.run(function()
  -- What grows once, and stays.
  visit("at first", function() connect("line\n"):receive() copas.pause(0.05) end)

  visit("silent ones", function()
    local c = connect()
    assert(select(2, c:receive()) == "closed")
    c:close()
  end)
  check.equal("silent ones time out", ended "^timeout:$", EACH)

  -- Each byte comes in time, the line does not.
  visit("slow ones", function()
    local c, bytes = connect(), 0
    repeat
      local sent = c:send "x"
      bytes = bytes + 1
      copas.pause(0.02)
    until not sent or bytes > 1000
    assert(bytes < 1000)
    c:close()
  end)
  check.equal("slow ones time out, with what they said", ended "^timeout:x+$", EACH)

  local started = copas.gettime()
  visit("ones that reset in a line", function(i)
    local c = connect("half a li", patientPort)
    copas.pause(i * 0.004)
    check.reset(c)
  end)
  check.equal("they end at once, with what they said", ended "^closed:half a li$", EACH)
  check.ok("not by a timeout", copas.gettime() - started < 50)

  visit("ones that never read", function()
    local c = connect "flood\n"
    while #ends < EACH do copas.pause(0.01) end
    c:close()
  end)
  check.equal("sending to them times out", ended "^timeout:%d+", EACH)

  -- Both want to send: the server stops reading when it cannot answer.
  local given = 0
  visit("ones that send and never read", function()
    local c = connect()
    c:settimeouts(nil, SECONDS / 2)
    local lines = (("y"):rep(999) .. "\n"):rep(100)
    repeat until not c:send(lines)
    given = given + 1
    while #ends < EACH do copas.pause(0.01) end
    c:close()
  end)
  check.equal("the server does not take more than it can answer", given, EACH)
  check.equal("and gives up", ended "^timeout:%d+", EACH)

  copas.removeserver(server)
  copas.removeserver(patient)
end)
check.ok("nothing is left", copas.finished())
