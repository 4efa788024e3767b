progress = 0
local kept = {}
local function deeper(n)
  progress = progress + 1
  if n == 0 then
    pcall(function() for i = 1, 1e9 do kept[i] = {} end end)
    while true do progress = progress + 1 end
  end
  while true do pcall(deeper, n - 1) end
end
deeper(180)
