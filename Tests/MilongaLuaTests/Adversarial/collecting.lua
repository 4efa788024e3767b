progress = 0
local t = {}
for i = 1, 1e5 do t[i] = {} end
while true do
  progress = progress + 1
  pcall(collectgarbage)
end
