progress = 0
while true do
  pcall(coroutine.wrap(function()
    local x <close> = setmetatable({}, {__close = function()
      while true do progress = progress + 1 end
    end})
    while true do progress = progress + 1 end
  end))
end
