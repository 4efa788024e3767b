-- oks: 3
-- Random descriptor maps, checked from inside the child: each of the parent's files is a file of
-- its own, and the child says which one it has at each number.
local xpio = require "xpio"
local check = require "check"

local seed = tonumber(os.getenv("XPIO_SEED")) or math.random(0, 2^31)
math.randomseed(seed)
io.stderr:write("seed ", seed, "\n")
local random = math.random

-- A file for each, by its inode; some of them with high numbers, to which the child begins without.
local FILES, HIGH = 12, 700
local sources, names = {}, {} -- descriptors; by inode
local folder = check.path("maps")
os.execute("mkdir " .. folder)
local spacers = {}
for i = 1, FILES do
  assert(io.open(folder .. "/" .. i, "w")):close()
end
local list = io.popen("exec stat -c '%n %i' " .. folder .. "/*")
for line in list:lines() do
  local name, inode = line:match "(%d+) (%d+)$"
  names[inode] = tonumber(name)
end
list:close()
local open = {}
for i = 1, FILES do
  if i == FILES - 3 then
    for n = 1, HIGH do spacers[n] = assert(xpio.fdopen(0)) end
  end
  open[i] = assert(io.open(folder .. "/" .. i))
end
-- Which descriptor is which file's.
for line in io.popen("for f in /proc/$PPID/fd/*; do echo ${f##*/} $(stat -L -c %i $f 2>/dev/null); done"):lines() do
  local number, inode = line:match "^(%d+) (%d+)$"
  if names[inode] then sources[names[inode]] = tonumber(number) end
end
assert(#sources == FILES)
for n = 1, HIGH do spacers[n]:close() end

local runs, cycles, twice = 0, 0, 0

-- What the child has: the shell names its own descriptors.
local function listing(map)
  local read, write = assert(xpio.pipe())
  map[1], map[2] = write, 2
  local process = assert(xpio.spawn({"sh", "-c", "stat -L -c '%n %i' /proc/$$/fd/* 2>/dev/null"}, xpio.env, map))
  write:close()
  local pieces = {}
  while true do
    local piece = check.await(read, "read", "read", 65536)
    if not piece then break end
    pieces[#pieces + 1] = piece
  end
  read:close()
  assert(check.await(process, "wait", "wait") == "exit")
  return table.concat(pieces)
end

for _ = 1, 150 do
  local map, expected, objects = {}, {}, {}
  local size = random(0, 10)
  local used = {}
  for _ = 1, size do
    -- Targets among the sources' own numbers (swaps, cycles, chains), and others.
    local child = random(2) == 1 and sources[random(FILES)] or random(0, 40)
    local source = random(FILES)
    if child ~= 1 and child ~= 2 and map[child] == nil then
      expected[child] = source
      if used[source] then twice = twice + 1 end
      used[source] = true
      if random(3) == 1 then
        objects[source] = objects[source] or assert(xpio.fdopen(sources[source]))
        map[child] = objects[source]
      else
        map[child] = sources[source]
      end
    end
  end
  if random(3) == 1 then
    -- A cycle through some of them.
    local length = random(2, 5)
    local start = random(FILES - length)
    for i = 0, length - 1 do
      local child, source = sources[start + i], start + (i + 1) % length
      map[child], expected[child] = sources[source], source
    end
    cycles = cycles + 1
  end
  local granted = {}
  for _, value in pairs(map) do granted[value] = true end
  local output = listing(map)
  local seen = {}
  for number, inode in output:gmatch "/fd/(%d+) (%d+)\n" do seen[tonumber(number)] = names[inode] or true end
  for child, source in pairs(expected) do
    assert(seen[child] == source, ("%d should be file %d, is %s\n%s"):format(child, source, seen[child], output))
  end
  for number in pairs(seen) do assert(expected[number] or number == 1 or number == 2, "leaked " .. number) end
  for _, object in pairs(objects) do
    assert((object:fileno() == -1) == (granted[object] == true))
    object:close()
  end
  runs = runs + 1
end
check.equal("every child has what it was granted, and nothing else", runs, 150)
check.ok("cycles among them", cycles > 10, cycles)
check.ok("and files that are granted twice", twice > 10, twice)
os.execute("rm -r " .. folder)
