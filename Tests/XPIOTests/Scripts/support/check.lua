-- What the scripts of XPIO use: `ok` and `equal`, results and errors, sockets, processes.
local root = debug.getinfo(1, "S").source:match "^@(.*)/Tests/"
package.path = root .. "/Examples/xpio/?.lua;" .. package.path
local xpio = require "xpio"
local dispatcher = require "dispatcher"
local oks = require "oks"

local M = {ok = oks.ok, equal = oks.equal}

--- Counts one behaviour: so many results, and these.
function M.results(what, results, ...)
  local expected = table.pack(...)
  local same = results.n == expected.n
  for i = 1, expected.n do same = same and results[i] == expected[i] end
  M.ok(what, same, table.unpack(results, 1, results.n))
end

--- Counts one behaviour: the call raises an error whose message ends so.
function M.raises(what, ending, body, ...)
  local good, why = pcall(body, ...)
  M.ok(what, not good and tostring(why):sub(-#ending) == ending, why)
end

--- Runs a thread, and all threads that it starts, to their ends.
M.run = dispatcher.run

--- The numbers of the process's descriptors, below 1,024.
function M.descriptors()
  local numbers = {}
  for number = 0, 1023 do
    local duplicate = xpio.fdopen(number)
    if duplicate then
      numbers[number] = true
      duplicate:close()
    end
  end
  return numbers
end

--- How many there are.
function M.count(set)
  local count = 0
  for _ in pairs(set) do count = count + 1 end
  return count
end

--- The pids of the process's children, zombies among them.
function M.children()
  local children = {}
  for line in io.lines("/proc/thread-self/children") do
    for pid in line:gmatch "%d+" do children[#children + 1] = tonumber(pid) end
  end
  return children
end

--- Both ends of a TCP connection.
function M.pair()
  local server = assert(xpio.socket("TCP"))
  assert(server:bind("127.0.0.1"))
  assert(server:listen())
  local client = assert(xpio.socket("TCP"))
  local queue = xpio.tqueue()
  while not client:try_connect(server:getsockname()) do
    client:when_write {_queue = queue}
    queue:wait(60)
  end
  local accepted
  repeat
    server:when_read {_queue = queue}
    queue:wait(60)
    accepted = server:try_accept()
  until accepted
  server:close()
  return client, accepted
end

--- Calls a try function until it has a result, without a dispatcher.
function M.await(object, name, when, ...)
  local queue = xpio.tqueue()
  while true do
    local results = table.pack(object["try_" .. name](object, ...))
    if results[1] ~= nil or results[2] ~= "retry" then return table.unpack(results, 1, results.n) end
    object["when_" .. when](object, {_queue = queue})
    assert(#queue:wait(60) == 1, "nothing happened")
  end
end

--- Runs a command with the given files and attributes, and returns what it wrote and how it ended.
function M.output(args, files, attrs, env)
  local read, write = assert(xpio.pipe())
  files = files or {}
  files[1] = files[1] or write
  files[2] = files[2] or 2
  local process = assert(xpio.spawn(args, env or xpio.env, files, attrs))
  write:close()
  local pieces = {}
  while true do
    local piece, failure = M.await(read, "read", "read", 65536)
    if not piece then
      assert(not failure, failure)
      break
    end
    pieces[#pieces + 1] = piece
  end
  read:close()
  return table.concat(pieces), M.await(process, "wait", "wait")
end

--- A path at which there is no file.
function M.path(name)
  local path = os.tmpname()
  os.remove(path)
  return path .. "-" .. name
end

return M
