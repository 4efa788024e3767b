progress = 0
local t = {}
while true do
  progress = progress + 1
  table.insert(t, 1, 1)
end
