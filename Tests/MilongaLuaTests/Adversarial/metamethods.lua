progress = 0
local t = setmetatable({}, {__index = function(t, k)
  progress = progress + 1
  return t[k + 1]
end})
while true do pcall(function() return t[1] end) end
