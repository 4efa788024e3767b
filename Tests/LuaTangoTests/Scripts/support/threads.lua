-- Tests that run in Copas threads.

local copas = require 'copas'
local T = require 'testing'

local M = {}

--- Runs f in a Copas thread, and then whatever threads it made, to their ends.
function M.test(name, f)
  T.test(name, function()
    local reason
    copas.addthread(function()
      local ok, why = xpcall(f, debug.traceback)
      if not ok then reason = why end
      -- Connections to servers in here close; otherwise their sessions would keep the loop going.
      collectgarbage()
      collectgarbage()
    end)
    copas.loop()
    if reason then error(reason, 0) end
  end)
end

--- Runs f(1) ... f(n) in a thread each, and waits for all. An error of one is an error here.
function M.together(n, f)
  local running, reason = n, nil
  for i = 1, n do
    copas.addthread(function()
      local ok, why = pcall(f, i)
      if not ok then reason = reason or why end
      running = running - 1
    end)
  end
  while running > 0 do copas.pause(0.001) end
  if reason then error(reason, 0) end
end

return M
