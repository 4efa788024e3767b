progress = 0
local t = {}
for i = 1, 1e4 do t[i] = i * 7919 % 10007 end
while true do
  progress = progress + 1
  table.sort(t)
  for i = 1, 9 do t[i * 1000] = i end
end
