progress = 0
local function f() while true do progress = progress + 1 end end
while true do pcall(pcall, pcall, f) end
