progress = 0
local function closing()
  return setmetatable({}, {__close = function()
    local y <close> = closing_again()
    while true do progress = progress + 1 end
  end})
end
closing_again = closing
while true do
  pcall(function()
    local x <close> = closing()
    error("x")
  end)
end
