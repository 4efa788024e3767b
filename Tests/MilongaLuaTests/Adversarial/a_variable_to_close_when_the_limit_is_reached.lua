progress = 0
local function f()
  local x <close> = setmetatable({}, {__close = function()
    while true do progress = progress + 1 end
  end})
  while true do progress = progress + 1 end
end
while true do pcall(f) end
