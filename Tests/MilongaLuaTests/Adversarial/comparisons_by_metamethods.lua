progress = 0
local m = {}
m.__lt = function(a, b)
  progress = progress + 1
  return setmetatable({}, m) < b
end
local t = setmetatable({}, m)
while true do pcall(function() return t < t end) end
