progress = 0
local t = setmetatable({}, {__concat = function(a, b)
  progress = progress + 1
  return a
end})
while true do local _ = t .. t .. t .. t .. t .. t end
