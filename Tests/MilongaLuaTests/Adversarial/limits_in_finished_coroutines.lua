progress = 0
local left = {}
for i = 1, 100 do
  left[i] = coroutine.create(function()
    local x <close> = setmetatable({}, {__close = function()
      while true do progress = progress + 1 end
    end})
    while true do
      progress = progress + 1
      coroutine.yield()
    end
  end)
end
while true do
  for i = 1, 100 do coroutine.resume(left[i]) end
end
