progress = 0
local t = {}
for i = 1, 1e4 do t[i] = i end
while true do
  progress = progress + 1
  pcall(table.sort, t, pcall)
end
