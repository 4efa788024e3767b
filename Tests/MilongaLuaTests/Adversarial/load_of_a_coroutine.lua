progress = 0
local piece = coroutine.wrap(function()
  while true do
    progress = progress + 1
    coroutine.yield("--")
  end
end)
while true do load(piece) end
