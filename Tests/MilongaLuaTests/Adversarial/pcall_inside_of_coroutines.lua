progress = 0
while true do
  local co = coroutine.create(function()
    while true do
      pcall(function() while true do progress = progress + 1 end end)
    end
  end)
  coroutine.resume(co)
end
