progress = 0
local n = 0
load(function()
  progress = progress + 1
  return "--"
end)
