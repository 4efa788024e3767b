progress = 0
local m = {__gc = false}
pcall(setmetatable, {}, m)
m.__gc = function() while true do end end
while true do
  progress = progress + 1
  local t = {}
end
