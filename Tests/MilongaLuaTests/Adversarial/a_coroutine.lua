progress = 0
coroutine.wrap(function() while true do progress = progress + 1 end end)()
