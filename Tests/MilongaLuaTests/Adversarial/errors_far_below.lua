progress = 0
local function deeper(n)
  if n > 0 then return 1 + deeper(n - 1) end
  while true do
    progress = progress + 1
    pcall(error, "x", 5000)
  end
end
deeper(5000)
