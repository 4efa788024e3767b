progress = 0
pcall(setmetatable, {}, {__gc = function()
  while true do progress = progress + 1 end
end})
while true do
  progress = progress + 1
  local t = {}
end
