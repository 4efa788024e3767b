progress = 0
local function deeper(n)
  if n > 0 then return 1 + deeper(n - 1) end
  while true do
    progress = progress + 1
    debug.traceback("x")
    xpcall(error, debug.traceback)
  end
end
deeper(5000)
