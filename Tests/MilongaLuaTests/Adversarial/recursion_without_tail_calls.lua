progress = 0
local function f()
  progress = progress + 1
  return 1 + f()
end
while true do pcall(f) end
