progress = 0
local co = coroutine.create(function()
  while true do progress = progress + 1 end
end)
pcall(function() debug.sethook(co) end)
while true do coroutine.resume(co) end
