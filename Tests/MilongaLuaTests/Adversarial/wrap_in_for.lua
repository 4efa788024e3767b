progress = 0
while true do
  for i in coroutine.wrap(function() for i = 1, 1e9 do coroutine.yield(i) end end) do
    progress = progress + 1
  end
end
