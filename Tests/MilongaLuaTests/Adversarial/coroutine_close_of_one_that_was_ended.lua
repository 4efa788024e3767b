progress = 0
local co
co = coroutine.create(function()
  local x <close> = setmetatable({}, {__close = function()
    while true do progress = progress + 1 end
  end})
  while true do progress = progress + 1 end
end)
coroutine.resume(co)
coroutine.close(co)
