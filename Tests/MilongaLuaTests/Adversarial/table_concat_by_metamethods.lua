progress = 0
local t = setmetatable({}, {__len = function() return 1 << 40 end, __index = function(_, i)
  progress = progress + 1
  return ""
end})
while true do pcall(table.concat, t) end
