progress = 0
local t = {}
for i = 1, 1000 do t[i] = i end
while true do
  pcall(table.sort, t, function()
    progress = progress + 1
    return true
  end)
end
