progress = 0
local t = setmetatable({}, {__len = function() return 1 << 40 end})
while true do
  progress = progress + 1
  pcall(table.remove, t, 1)
end
