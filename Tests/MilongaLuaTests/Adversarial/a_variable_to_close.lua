progress = 0
local x <close> = setmetatable({}, {__close = function()
  while true do progress = progress + 1 end
end})
error("x")
