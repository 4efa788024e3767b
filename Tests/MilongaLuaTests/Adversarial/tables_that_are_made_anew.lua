progress = 0
local t = {}
for i = 1, 2 ^ 13 do t[i + 0.5] = i end
while true do
  progress = progress + 1
  t[progress + 0.5] = nil
  t[progress + 2 ^ 13 + 0.5] = 1
end
