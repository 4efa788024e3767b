progress = 0
local t = {}
while true do
  progress = progress + 1
  select("#", table.unpack(t, 1, 9e5))
end
