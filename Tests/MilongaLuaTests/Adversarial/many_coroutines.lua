progress = 0
while true do
  coroutine.wrap(function() for i = 1, 10 do progress = progress + 1 end end)()
end
