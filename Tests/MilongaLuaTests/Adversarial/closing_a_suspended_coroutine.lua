progress = 0
while true do
  local co = coroutine.create(function()
    local x <close> = setmetatable({}, {__close = function()
      while true do progress = progress + 1 end
    end})
    coroutine.yield()
  end)
  coroutine.resume(co)
  coroutine.close(co)
end
