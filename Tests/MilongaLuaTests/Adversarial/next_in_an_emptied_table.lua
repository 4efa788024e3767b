progress = 0
local t = {}
for i = 1, 1e4 do t[i .. ""] = i end
for k in pairs(t) do t[k] = nil end
while true do
  progress = progress + 1
  next(t)
end
