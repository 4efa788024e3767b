progress = 0
local s = ("x"):rep(1000)
local t = setmetatable({}, {__len = function() return 1 << 40 end, __index = function()
  return s
end})
while true do
  progress = progress + 1
  pcall(table.concat, t)
end
