-- A thread whose timeout removes it before it has finished.
local copas = require "copas"
local outcome = "none"

local function tooLate(thread)
  print "too late"
  outcome = "removed"
  copas.removethread(thread)
end

copas(function()
  copas.addthread(function()
    copas.timeout(0.2, tooLate)
    copas.pause(0.6)
    outcome = "finished"
    copas.timeout(0)
  end)
end)

print("outcome", outcome)
