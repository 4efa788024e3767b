progress = 0
local t = {}
for i = 1, 1e4 do t[i] = i end
for i = 2, 1e4 do t[i] = nil end
while true do
  progress = progress + 1
  next(t, 1)
end
