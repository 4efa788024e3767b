progress = 0
local co = coroutine.wrap(function()
  while true do
    progress = progress + 1
    coroutine.yield()
  end
end)
while true do co() end
