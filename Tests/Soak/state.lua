-- What a process holds on to, for comparing it with what it held before.
local copas = require 'copas'

local M = {}

local function descriptors()
  -- Not by io.popen, which may still have both ends of its pipe.
  local name = os.tmpname()
  assert(os.execute('ls /proc/$PPID/fd >' .. name))
  local count = 0
  for _ in io.lines(name) do count = count + 1 end
  os.remove(name)
  return count
end

--- Kilobytes of the whole process.
local function resident()
  for line in io.lines '/proc/self/smaps_rollup' do
    local kilobytes = line:match '^Rss:%s+(%d+)'
    if kilobytes then return tonumber(kilobytes) end
  end
end

--- In the order in which they are shown.
M.names = {
  'descriptors', 'threads', 'timeouts', 'references', 'lua', 'resident',
}

--- How much more than before there may be in the end. Tables and the heap do not always keep their
--- size to the byte; a leak would have grown with each of the connections.
local tolerances = {
  -- Up to 64 coroutines are kept for the connections of ev_socket.
  references = function() return 64 end,
  lua = function(before) return before * 0.05 + 64 end,
  resident = function(before) return before * 0.10 + 1024 end,
}

function M.now()
  -- Twice, for what finalizers leave behind.
  collectgarbage()
  collectgarbage()
  local status = copas.status()
  return {
    descriptors = descriptors(),
    threads = status.read + status.write + status.active + status.timer + status.inactive,
    timeouts = status.timeout,
    references = status.references,
    lua = math.ceil(collectgarbage 'count'),
    resident = resident(),
  }
end

--- The names of the figures that have grown.
function M.grown(before, after)
  local names = {}
  for _, name in ipairs(M.names) do
    local more = tolerances[name] and tolerances[name](before[name]) or 0
    if after[name] > before[name] + more then names[#names + 1] = name end
  end
  return names
end

--- As one line, and back.
function M.format(state)
  local words = {}
  for i, name in ipairs(M.names) do words[i] = ('%d'):format(state[name]) end
  return table.concat(words, ' ')
end

function M.parse(line)
  local state, words = {}, line:gmatch '%d+'
  for _, name in ipairs(M.names) do state[name] = tonumber(words()) end
  return state
end

return M
